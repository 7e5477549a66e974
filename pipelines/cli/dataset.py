"""Commands about existing data: versions and their differences, the report, the funnel, exports, pulls."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from ops.errors import UserError
from ops.workspaces.workspace import Workspace, suggest
from pipelines.cli.options import as_json, complete_active, complete_recipe


@click.command()
@click.argument("expansions", nargs=-1, shell_complete=complete_active)
@as_json
@click.pass_obj
def versions(open_workspace: Callable[[], Workspace], expansions: tuple[str, ...], as_json: bool) -> None:
    """List published versions: name, date, images, verdict; newest first."""
    from ops.history.versions import describe_versions
    from pipelines.cli.terminal import print_versions

    workspace = open_workspace()
    found = {name: describe_versions(workspace, name) for name in expansions or workspace.expansions}
    available = workspace.available_recipes()
    if wrong := next((name for name in expansions if not found[name] and name not in available), None):
        raise UserError(f"there is no recipe '{wrong}', and no version of it; {suggest(wrong, available)}")
    click.echo(json.dumps(found)) if as_json else print_versions(found)


@click.command()
@click.argument("before")
@click.argument("after")
@as_json
@click.pass_obj
def diff(open_workspace: Callable[[], Workspace], before: str, after: str, as_json: bool) -> None:
    """Show the changes from version BEFORE to AFTER: images by class, quality, verdict.

    A version is a tag such as smoke/v1, smoke@REVISION, or smoke for the dataset published here.
    """
    from pipelines.cli.commands import compare_versions

    compare_versions(open_workspace(), before, after, as_json=as_json)


@click.command()
@click.argument("expansion", shell_complete=complete_active)
@click.option("--open", "show", is_flag=True, help="Open it in the browser.")
@click.option("--since", metavar="VERSION", help="Write a copy with the changes since a version, e.g. smoke/v1.")
@click.pass_obj
def report(open_workspace: Callable[[], Workspace], expansion: str, show: bool, since: str | None) -> None:
    """Print the path of an expansion's report: one self-contained HTML file."""
    from pipelines.cli.commands import find_report, write_report_since

    path = find_report(open_workspace(), expansion)
    if since is not None:
        path = write_report_since(open_workspace(), expansion, since)
    click.echo(path)
    if show:
        click.launch(path.as_uri())


@click.command()
@click.argument("expansion", shell_complete=complete_active)
@click.option("--only", type=click.Choice(["real", "accepted", "mixed", "published"]), help="Fetch one dataset only.")
@click.pass_obj
def pull(open_workspace: Callable[[], Workspace], expansion: str, only: str | None) -> None:
    """Fetch an expansion's data from the DVC remote."""
    from pipelines.cli.sharing import pull_expansion

    pull_expansion(open_workspace(), expansion, only)


@click.command()
@click.argument("expansion", shell_complete=complete_active)
@click.pass_obj
def commit(open_workspace: Callable[[], Workspace], expansion: str) -> None:
    """Commit a published expansion to git, and tag it: then `git clone` and `dvc pull` bring it to a colleague.

    The commit holds the publication's pointer, recipe, figures and entries of dvc.lock and params.yaml, nothing else.
    Expansions that are not published stay out of its list of active ones, because `dvc pull` fails on them.
    """
    from pipelines.cli.sharing import commit_expansion

    commit_expansion(open_workspace(), expansion)


@click.command()
@click.argument("expansion", shell_complete=complete_active)
@click.pass_obj
def push(open_workspace: Callable[[], Workspace], expansion: str) -> None:
    """Compare every object in the DVC remote with its name, and send what is missing or damaged."""
    from pipelines.cli.sharing import push_expansion

    push_expansion(open_workspace(), expansion)


@click.command()
@click.argument("expansion", shell_complete=complete_active)
@click.option("--remote/--no-remote", default=True, show_default=True, help="Read every object in the DVC remote too.")
@click.option("--workers", type=click.IntRange(min=1), help="Parallel processes; default: one per core.")
@as_json
@click.pass_obj
def verify(
    open_workspace: Callable[[], Workspace], expansion: str, remote: bool, workers: int | None, as_json: bool
) -> None:
    """Check every row, file and link of an expansion, DVC's cache and its remote; changes nothing.

    Exit code 0 if nothing is wrong, 4 with a line for each finding, 3 if nothing is wrong but the remote could not be
    reached.
    """
    from pipelines.cli.sharing import verify_expansion

    verify_expansion(open_workspace(), expansion, remote=remote, workers=workers, as_json=as_json)


@click.command()
@click.argument("expansion", shell_complete=complete_recipe)
@click.option(
    "--format", "form", required=True, metavar="FORMAT", help="huggingface, folder, fiftyone, webdataset, zip or npz."
)
@click.option(
    "--to", "folder", required=True, type=click.Path(path_type=Path), help="A new or empty folder; no file is replaced."
)
@click.option(
    "--only",
    type=click.Choice(["all", "real", "generated"]),
    default="all",
    show_default=True,
    help="Which training images; with `generated` no other split is written.",
)
@as_json
@click.pass_obj
def export(
    open_workspace: Callable[[], Workspace], expansion: str, form: str, folder: Path, only: Any, as_json: bool
) -> None:
    """Write the published dataset of an expansion in the layout that another tool reads."""
    from pipelines.cli.sharing import export_expansion

    export_expansion(open_workspace(), expansion, form, folder, only, as_json=as_json)


@click.command()
@click.argument("expansion", shell_complete=complete_active)
@as_json
@click.pass_obj
def funnel(open_workspace: Callable[[], Workspace], expansion: str, as_json: bool) -> None:
    """Count the drawn images: rejected by each rule, surplus and accepted; and the images that are missing."""
    from pipelines.cli.funnel import show_funnel

    show_funnel(open_workspace(), expansion, as_json=as_json)


@click.command()
@click.argument("source")
@click.option("--html", type=click.Path(path_type=Path, dir_okay=False), help="Where the page with pictures goes.")
@click.option("--open", "show", is_flag=True, help="Show the page in the browser.")
@click.option(
    "--limit",
    type=click.IntRange(min=2),
    default=10_000,
    show_default=True,
    help="Open at most so many images, evenly through each split.",
)
@as_json
@click.pass_obj
def inspect(
    open_workspace: Callable[[], Workspace], source: str, html: Path | None, show: bool, limit: int, as_json: bool
) -> None:
    """Show what is in SOURCE: counts, sizes, duplicates, probable label errors, outliers, looks.

    SOURCE is a source described in sources/, a recipe, which stands for its source, or a path of images.
    """
    from pipelines.cli.inspection import inspect_source

    page = inspect_source(open_workspace, source, limit=limit, html=html, as_json=as_json)
    if show and page is not None:
        click.launch(page.resolve().as_uri())


COMMANDS = (inspect, versions, diff, report, funnel, commit, pull, push, verify, export)
