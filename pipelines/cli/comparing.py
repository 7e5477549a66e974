"""The command `growset compare`: several recipes on the same images, side by side, in the terminal and on a page."""

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from ops.workspaces.workspace import Workspace
from pipelines.cli.options import as_json, complete_recipe

LONGEST = 80  # characters of a file's name, before what tells two long ones apart


@click.command()
@click.argument("recipes", nargs=-1, shell_complete=complete_recipe)
@click.option(
    "--html",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Where to write the page; default: .growset/comparisons in the workspace.",
)
@click.option("--open", "show", is_flag=True, help="Open the page in the browser.")
@as_json
@click.pass_obj
def compare(
    open_workspace: Callable[[], Workspace], recipes: tuple[str, ...], html: Path | None, show: bool, as_json: bool
) -> None:
    """Show RECIPES on the same images side by side: verdicts, gains by class, costs; and write a page.

    Intervals hold for all of them together. Nothing is trained or evaluated: a recipe that has not been run, or has
    changed since, is a line with the command that runs it. Recipes of different images are refused.
    """
    found, page = compare_and_write(open_workspace(), recipes, html)
    if as_json:
        click.echo(json.dumps({**found, "page": str(page)}))
    else:
        from pipelines.cli.comparing_text import format_comparison

        click.echo("\n".join(format_comparison(found)))
        click.echo(f"page: {page}")
    if show:
        click.launch(page.as_uri())


def compare_and_write(workspace: Workspace, recipes: Sequence[str], html: Path | None) -> tuple[dict[str, Any], Path]:
    """The facts of the comparison, and where its page is."""
    from ops.files.storage import write_text
    from ops.study.comparing.facts import compare_recipes
    from ops.study.comparing.page import render_comparison

    found = compare_recipes(workspace, list(recipes))
    page = (html or workspace.root / ".growset" / "comparisons" / f"{name_page(recipes)}.html").resolve()
    page.parent.mkdir(parents=True, exist_ok=True)
    write_text(page, render_comparison(found))
    return found, page


def name_page(recipes: Sequence[str]) -> str:
    """A file's name for these recipes, whatever their number.

    >>> name_page(["flow", "smoke"])
    'flow,smoke'
    """
    joined = ",".join(recipes)
    if len(joined) <= LONGEST:
        return joined
    return f"{joined[:LONGEST]}-{hashlib.sha256(joined.encode()).hexdigest()[:8]}"
