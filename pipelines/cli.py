"""The `growset` command line: check, plan, run, activate; `materialize` is what dvc.yaml calls.

Heavy libraries load only in the commands that need them, so `growset check` answers at once.
"""

import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import click

from ops.errors import GrowsetError
from ops.workspace import Workspace, find_workspace, suggest


class GrowsetGroup(click.Group):
    """Commands whose GrowsetErrors become one line on stderr and the error's exit code."""

    def invoke(self, context: click.Context) -> Any:
        try:
            return super().invoke(context)
        except GrowsetError as error:
            click.echo(f"growset: {error}", err=True)
            context.exit(error.exit_code)


@click.group(cls=GrowsetGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--workspace",
    type=click.Path(path_type=Path, file_okay=False),
    help="Workspace folder; default: $GROWSET_HOME, or upwards from here.",
)
@click.version_option(package_name="growset")
@click.pass_context
def main(context: click.Context, workspace: Path | None) -> None:
    """Grow a small or long-tailed image dataset with generative models, and prove that it helped."""
    context.obj = lambda: find_workspace(Path.cwd(), explicit=workspace)


def runtime_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Options that change where and how fast things run, never what comes out."""
    options = [
        click.option(
            "--device",
            default="cpu",
            show_default=True,
            help="torch device the generator is trained on; classifiers train on the CPU's cores.",
        ),
        click.option(
            "--provider",
            type=click.Choice(["auto", "cpu", "cuda"]),
            default="auto",
            show_default=True,
            help="ONNX Runtime provider for generation.",
        ),
        click.option("--allow-cpu-fallback", is_flag=True, help="Generate on the CPU when CUDA is missing."),
        click.option("--workers", type=click.IntRange(min=1), help="Processes side by side; default: one per core."),
        click.option(
            "--batch-size",
            type=click.IntRange(min=1),
            default=64,
            show_default=True,
            help="Images per call of the sampler.",
        ),
    ]

    @wraps(command)
    def with_runtime(
        *args: Any,
        device: str,
        provider: str,
        allow_cpu_fallback: bool,
        workers: int | None,
        batch_size: int,
        **kwargs: Any,
    ) -> Any:
        from ops.parallel import available_cores
        from ops.stage import Runtime

        runtime = Runtime(
            device=device,
            provider=provider,
            allow_cpu_fallback=allow_cpu_fallback,
            workers=workers or available_cores(),
            batch_size=batch_size,
            sink=lambda line: click.echo(f"  {line}"),
            report_every=5.0 if sys.stdout.isatty() else 30.0,
        )
        return command(*args, runtime=runtime, **kwargs)

    for option in reversed(options):
        with_runtime = option(with_runtime)
    return with_runtime


@main.command()
@click.argument("expansions", nargs=-1)
@click.pass_obj
def check(open_workspace: Callable[[], Workspace], expansions: tuple[str, ...]) -> None:
    """Validate recipes (default: all active ones) before anything is computed."""
    from ops.chain.running import validate

    workspace = open_workspace()
    for expansion in expansions or workspace.expansions:
        validate(workspace, expansion)
        click.echo(f"{expansion}: ok")


@main.command()
@click.argument("expansion")
@click.pass_obj
def plan(open_workspace: Callable[[], Workspace], expansion: str) -> None:
    """Dry run: images per class, estimated seconds and bytes."""
    from pipelines.planning import describe_plan

    click.echo(describe_plan(open_workspace(), expansion))


@main.command()
@click.argument("expansion")
@runtime_options
@click.pass_obj
def run(open_workspace: Callable[[], Workspace], expansion: str, runtime: Any) -> None:
    """Run the whole chain of an expansion; what is current is skipped."""
    from pipelines.commands import run_expansion

    run_expansion(open_workspace(), expansion, runtime)


@main.command()
@click.argument("stage")
@click.argument("expansion")
@runtime_options
@click.pass_obj
def materialize(open_workspace: Callable[[], Workspace], stage: str, expansion: str, runtime: Any) -> None:
    """Materialize one asset with its checks; this is what dvc.yaml's stages call."""
    from pipelines.commands import materialize_stage

    materialize_stage(open_workspace(), stage, expansion, runtime)


@main.command()
@click.argument("expansion")
@click.pass_obj
def activate(open_workspace: Callable[[], Workspace], expansion: str) -> None:
    """Add a recipe to the active expansions."""
    from ops.chain.real import source_content

    workspace = open_workspace()
    recipe = workspace.load_recipe(expansion, active=False)
    content = source_content(workspace, recipe)
    if expansion in workspace.expansions:
        click.echo(f"{expansion} is active already")
        return
    workspace.edit_params(expansions=[*workspace.expansions, expansion], source_versions={expansion: content})
    click.echo(f"{expansion} is active; run it with: growset run {expansion}")


@main.command()
@click.argument("expansion")
@click.pass_obj
def deactivate(open_workspace: Callable[[], Workspace], expansion: str) -> None:
    """Remove a recipe from the active expansions; its recipe and its data stay."""
    from ops.errors import UserError

    workspace = open_workspace()
    active = workspace.expansions
    if expansion not in active:
        raise UserError(f"expansion '{expansion}' is not active; {suggest(expansion, active)}")
    workspace.edit_params(expansions=[name for name in active if name != expansion])
    click.echo(f"{expansion} is not active any more; its recipe and data stay")


@main.command()
@click.argument("expansion")
@click.option("--only", type=click.Choice(["real", "accepted", "mixed", "published"]), help="One dataset alone.")
@click.pass_obj
def pull(open_workspace: Callable[[], Workspace], expansion: str, only: str | None) -> None:
    """Fetch an expansion's data from the DVC remote."""
    from pipelines.commands import pull_expansion

    pull_expansion(open_workspace(), expansion, only)


@main.command()
@click.option("--port", default=3000, show_default=True, type=click.IntRange(1, 65535))
@click.pass_obj
def ui(open_workspace: Callable[[], Workspace], port: int) -> None:
    """Start the Dagster UI on this machine only."""
    from pipelines.commands import start_ui

    start_ui(open_workspace(), port)


@main.command()
@click.argument("name", type=click.Choice(["generation", "code_location", "demo"]))
def bench(name: str) -> None:
    """Run a benchmark and write benchmarks/results/NAME.json."""
    from importlib import import_module

    path = import_module(f"benchmarks.{name}").run()
    click.echo(path.read_text(encoding="utf-8"))


if __name__ == "__main__":
    sys.exit(main())
