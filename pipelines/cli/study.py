"""The command `growset study`: run a study of this workspace, or what is left of it."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from ops.workspaces.workspace import Workspace
from pipelines.cli.options import complete_study, runtime_options

if TYPE_CHECKING:
    from ops.stages.materialization import Runtime


@click.command()
@click.argument("name", shell_complete=complete_study)
@click.option(
    "--budget",
    type=click.FloatRange(min=0, min_open=True),
    metavar="MINUTES",
    help="Stop after so many minutes, between groups of trainings; the next call goes on.",
)
@click.option("--quick", is_flag=True, help="Run every part made small, to see that it works; nothing is kept.")
@runtime_options
@click.pass_obj
def study(
    open_workspace: Callable[[], Workspace], name: str, budget: float | None, quick: bool, runtime: "Runtime"
) -> Callable[[], None]:
    """Run the study of studies/NAME/grid.yaml: a question asked of many trainings.

    Each finished training is kept in results.parquet under a fingerprint of all that decides it, so a stopped study
    goes on, and a changed one keeps what still holds. The figure and the tables of the study's README are drawn anew.
    """
    from ops.errors import UserError
    from ops.study.design import load_study

    if quick and budget is not None:
        raise UserError("--budget has no effect with --quick, which keeps nothing; remove one of them")
    workspace = open_workspace()
    found = load_study(workspace, name)
    runtime.sink(f"study {name}: {found.design.question}")
    from ops.study.page import read_page, write_page  # torch, matplotlib: after the study was checked
    from ops.study.running import rehearse_study, run_study

    if quick:
        cells = rehearse_study(found, workspace, runtime)
        return lambda: click.echo(f"all parts of {name} run: {cells} small cells, none of them kept")
    read_page(found)  # a mistake in it is told before anything is computed
    finished = run_study(found, workspace, runtime, budget=budget)
    page = write_page(found, finished)
    left = f"; {finished.missing:,} are left, growset study {name} goes on" if finished.missing else ""
    return lambda: click.echo(
        f"{finished.cells - finished.missing:,} of {finished.cells:,} cells are done{left}\n{page}"
    )
