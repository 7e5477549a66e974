"""The `growset` command line; dvc.yaml calls `materialize`.

Heavy libraries load only in the commands that need them, so `growset check` answers at once.
"""

from pipelines.interruption import stoppable  # isort: skip  (signals are listened to while the rest loads)

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from ops.errors import GrowsetError, UserError, find_fault, raise_clean
from ops.machine.interruption import noticed
from ops.recipe.changes import Changes
from ops.recipe.design import warn_of_seeds
from ops.sources.remote import listed_once
from ops.workspaces.workspace import Workspace, find_workspace
from pipelines.cli.bench import bench
from pipelines.cli.comparing import compare
from pipelines.cli.dataset import COMMANDS
from pipelines.cli.documents import docs
from pipelines.cli.explore import explore
from pipelines.cli.generate import generate
from pipelines.cli.options import LOOK, MOST_SIDE, WRITE, as_json, complete_active, runtime_options
from pipelines.cli.overview import OrderedGroup
from pipelines.cli.recipes import OF_RECIPES
from pipelines.cli.recommending import recommend
from pipelines.cli.study import study
from pipelines.cli.theory import theory
from pipelines.cli.upgrading import upgrade, warn_of_older

UNKNOWN = "unknown"  # a licence that nobody has named


class GrowsetGroup(OrderedGroup):
    """Commands whose GrowsetErrors and faults of the machine become one line on stderr and an exit code."""

    def invoke(self, context: click.Context) -> Any:
        command = next((word for word in sys.argv[1:] if word in self.commands), "growset")
        with stoppable(command), listed_once():
            try:
                return super().invoke(context)
            except click.ClickException:
                raise
            except Exception as error:
                stopped = error if isinstance(error, GrowsetError) else find_fault(error)
                if stopped is None or noticed() is not None:
                    raise_clean(error)
            click.echo(f"growset: {stopped}", err=True)
            context.exit(stopped.exit_code)


FIRST_STEPS = """\b
First steps with images of your own (a folder with train, validation and test):
  growset init my-work --source path/to/images
  cd my-work
  growset inspect NAME       show duplicates, probable label errors and outliers
  growset plan NAME          images it would draw, and the cost
  growset run NAME           the whole chain, and the verdict
  growset report NAME --open
  growset explore NAME --open
  growset docs               the pages that explain all of it
"""


@click.group(cls=GrowsetGroup, context_settings={"help_option_names": ["-h", "--help"]}, epilog=FIRST_STEPS)
@click.option(
    "--workspace",
    type=click.Path(path_type=Path, file_okay=False),
    help="Workspace folder; default: $GROWSET_HOME, or the nearest one above the current folder.",
)
@click.version_option(package_name="growset")
@click.pass_context
def main(context: click.Context, workspace: Path | None) -> None:
    """Grow a small or long-tailed image dataset with generative models, and prove that it helped."""
    context.obj = lambda: find_workspace(Path.cwd(), explicit=workspace)


@main.command()
@click.argument("folder", type=click.Path(path_type=Path), required=False)
@click.option(
    "--source",
    type=click.Path(path_type=Path),
    help="Your images: folders of class folders, a table with files, Parquet, tar, npz, IDX, CIFAR, …",
)
@click.option(
    "--unlabelled",
    type=click.Path(path_type=Path),
    help="Images without labels, such as a folder of files: they are expanded, and --source is a small labelled part.",
)
@click.option("--example", is_flag=True, help="Use the 1,000 images that come with Growset, instead of --source.")
@click.option("--here", is_flag=True, help="Make the current folder a workspace: a project with files, git or DVC.")
@click.option(
    "--licence", default=UNKNOWN, show_default=True, help="Licence of the images; it goes into dataset cards."
)
@click.option(
    "--size",
    type=click.IntRange(min=8, max=MOST_SIDE),
    help="Side in pixels to which all images are brought; default: their own, or the median up to 64 pixels.",
)
def init(
    folder: Path | None,
    source: Path | None,
    unlabelled: Path | None,
    example: bool,
    here: bool,
    licence: str,
    size: int | None,
) -> None:
    """Make FOLDER a workspace for your images: git, DVC, and a recipe for their number and size.

    FOLDER is new or empty. With --here the current folder becomes one; its files, git and DVC stay as they are.
    """
    from pipelines.cli.creation import init_workspace

    if (folder is None) != here:
        raise UserError("name a folder for the workspace, or give --here for the current one" + " (not both)" * here)
    if (source is None) != example:
        raise UserError("name your images with --source, or give --example" + " (not both)" * example)
    if example and size is not None:
        raise UserError("--size has no effect with --example, whose images are small; remove it")
    if example and unlabelled is not None:
        raise UserError("--unlabelled has no effect with --example, whose images are labelled; remove it")
    if example and licence != UNKNOWN:
        raise UserError("--licence has no effect with --example, whose licence is known; remove it")
    init_workspace(folder or Path("."), source, licence, adopt=here, size=size, unlabelled=unlabelled)


@main.command()
@click.argument("expansions", nargs=-1, shell_complete=complete_active)
@LOOK
@click.pass_obj
def check(open_workspace: Callable[[], Workspace], expansions: tuple[str, ...], changes: Changes) -> None:
    """Validate recipes (default: all active ones) without computing anything."""
    from ops.chain.driver import validate
    from ops.recipe.prior import PoolSettings
    from pipelines.cli.looking import look_with

    workspace = open_workspace()
    names = expansions or workspace.expansions
    workspace = look_with(workspace, names, changes)
    for expansion in names:
        recipe = validate(workspace, expansion, lambda sentence: click.echo(f"warning: {sentence}", err=True))
        told = f"; its prior learns from the pool {recipe.prior.pool}" if isinstance(recipe.prior, PoolSettings) else ""
        click.echo(f"{expansion}: ok{told}")
        if warning := warn_of_seeds(recipe.classifier.seeds, recipe.verdict.folds):
            click.echo(f"{expansion}: {warning}", err=True)
    warn_of_older(workspace)


@main.command()
@click.argument("expansion", shell_complete=complete_active)
@click.option(
    "--minutes",
    type=click.FloatRange(min=0, min_open=True),
    help="Write steps into the recipe with which the whole chain takes this many minutes on this machine.",
)
@click.option(
    "--learning-curve",
    is_flag=True,
    help="Train one arm on real images for more and more steps, and propose classifier.steps.",
)
@LOOK
@as_json
@click.pass_obj
def plan(
    open_workspace: Callable[[], Workspace],
    expansion: str,
    minutes: float | None,
    learning_curve: bool,
    changes: Changes,
    as_json: bool,
) -> None:
    """Dry run: images per class, bytes, minutes, and the smallest effect that the test images can show.

    The first answer takes seconds; then real steps are timed. Writes nothing, except with --minutes.
    """
    from functools import partial

    from pipelines.cli.learning_curve import show_learning_curve
    from pipelines.cli.looking import look_with
    from pipelines.cli.plan import show_plan
    from pipelines.cli.terminal import progress_sink

    if minutes is not None and changes:
        raise UserError("--minutes writes the recipe and --set does not; give one of them")
    if minutes is not None and learning_curve:
        raise UserError("--minutes fits the steps to a time and --learning-curve to the images; give one of them")
    workspace = look_with(open_workspace(), [expansion], changes, err=as_json)
    with progress_sink(to_stderr=as_json) as sink:
        learn = partial(show_learning_curve, workspace, sink=sink, quiet=as_json) if learning_curve else None
        found = show_plan(workspace, expansion, sink, minutes=minutes, learn=learn, quiet=as_json)
    warn_of_older(workspace)
    if as_json:
        click.echo(json.dumps(found))


@main.command()
@click.argument("expansion", shell_complete=complete_active)
@click.option(
    "--quick",
    is_flag=True,
    help="A rehearsal in a workspace of its own: the whole chain on few images, in under two minutes on two cores.",
)
@click.option("--force", is_flag=True, help="Run although there are too few images for an expansion.")
@WRITE
@as_json
@runtime_options
@click.pass_obj
def run(
    open_workspace: Callable[[], Workspace],
    expansion: str,
    quick: bool,
    force: bool,
    changes: Changes,
    as_json: bool,
    runtime: Any,
) -> Callable[[], None]:
    """Run the whole chain of an expansion; current stages are skipped.

    If it is killed or interrupted, run it again: it continues where it stopped.
    """
    from pipelines.cli.commands import rehearse_expansion, run_expansion, show_result

    workspace = open_workspace()
    if quick:
        result, refusal = rehearse_expansion(workspace, expansion, runtime, changes=changes, quiet=as_json)
    else:
        result, refusal = run_expansion(workspace, expansion, runtime, changes=changes, force=force, quiet=as_json)

    def finish() -> None:
        if as_json:
            click.echo(json.dumps(result))
        else:
            show_result(result)
        if refusal:
            raise refusal

    return finish


@main.command()
@click.argument("expansions", nargs=-1, shell_complete=complete_active)
@as_json
@click.pass_obj
def status(open_workspace: Callable[[], Workspace], expansions: tuple[str, ...], as_json: bool) -> None:
    """Show the state of stages, and published versions (default: of all active expansions)."""
    from ops.chain.status import describe_status

    workspace = open_workspace()
    for expansion in expansions:
        if expansion not in workspace.expansions:
            workspace.load_recipe(expansion)  # says what is wrong with the name
    found = {expansion: describe_status(workspace, expansion) for expansion in expansions or workspace.expansions}
    if as_json:
        click.echo(json.dumps({"workspace": str(workspace.root), "expansions": found}))
    else:
        from pipelines.cli.terminal import print_status

        print_status(found)


@main.command()
@click.argument("stage")
@click.argument("expansion", shell_complete=complete_active)
@WRITE
@runtime_options
@click.pass_obj
def materialize(
    open_workspace: Callable[[], Workspace], stage: str, expansion: str, changes: Changes, runtime: Any
) -> None:
    """Materialize one asset with its checks; the stages of dvc.yaml call this."""
    from pipelines.cli.commands import materialize_stage

    materialize_stage(open_workspace(), stage, expansion, runtime, changes=changes)


@main.command()
@click.option("--port", default=3000, show_default=True, type=click.IntRange(1, 65535))
@click.option(
    "--allow-host",
    "hosts",
    multiple=True,
    metavar="NAME",
    envvar="GROWSET_UI_HOSTS",
    help="A name by which a reverse proxy reaches the UI; may be repeated. Requests by other names are refused.",
)
@click.pass_obj
def ui(open_workspace: Callable[[], Workspace], port: int, hosts: tuple[str, ...]) -> None:
    """Start the Dagster UI on this machine only."""
    from pipelines.cli.serving import start_ui

    start_ui(open_workspace(), port, hosts)


@main.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print a script that completes commands, options and names; try: eval "$(growset completion bash)"."""
    from click.shell_completion import get_completion_class

    completer = get_completion_class(shell)
    assert completer is not None  # the choices above are click's own
    click.echo(completer(main, {}, "growset", "_GROWSET_COMPLETE").source())


for command in (*COMMANDS, *OF_RECIPES, bench, compare, generate, docs, explore, recommend, study, theory, upgrade):
    main.add_command(command)


if __name__ == "__main__":
    sys.exit(main())
