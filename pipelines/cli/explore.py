"""The command `growset explore`: a page of plain files on which one browses an expansion's images."""

from collections.abc import Callable
from pathlib import Path

import click

from ops.errors import UserError
from ops.files.outputs import RULES
from ops.stages.integrity import require_intact
from ops.workspaces.workspace import Workspace
from pipelines.cli.options import complete_active


@click.command()
@click.argument("expansion", shell_complete=complete_active)
@click.option(
    "--out",
    "folder",
    type=click.Path(path_type=Path),
    help="A new or empty folder for the page; default: .growset/explore/EXPANSION in the workspace.",
)
@click.option("--open", "show", is_flag=True, help="Open it in the browser.")
@click.pass_obj
def explore(open_workspace: Callable[[], Workspace], expansion: str, folder: Path | None, show: bool) -> None:
    """Write a page to browse real, accepted and rejected images, and print its path.

    The page is a folder of plain files that any browser opens, without a server or a network. It shows training,
    validation and generated images by class, reason of rejection and score, each beside the real image nearest to it.
    Test images are not shown.
    """
    path = write_exploration(open_workspace(), expansion, folder)
    if show:
        click.launch(path.as_uri())


def write_exploration(workspace: Workspace, expansion: str, folder: Path | None) -> Path:
    """Write the page, or find it as it is, and print its path; UserError if nothing has been filtered yet."""
    from ops.exploring.page import STAGES, check_target, write_page
    from pipelines.cli.terminal import progress_sink

    workspace.load_recipe(expansion)
    inputs = {stage: workspace.output(expansion, stage) for stage in STAGES}
    if not (inputs["accepted_images"] / RULES).exists():
        raise UserError(f"'{expansion}' has no filtered images yet; run: growset run {expansion}")
    target = (folder or workspace.root / ".growset" / "explore" / expansion).resolve()
    check_target(target)
    with progress_sink(to_stderr=True) as sink:
        sink("explore: checking the images' files")
        require_intact(workspace, expansion, STAGES)
        page = write_page(inputs, target, expansion, workspace.root / ".growset" / "siblings", sink=sink)
    what = "unchanged" if page.reused else f"{page.rows:,} images, {page.bytes / 1e6:,.1f} MB"
    click.echo(f"{expansion}: {what}", err=True)
    click.echo(page.path)
    return page.path
