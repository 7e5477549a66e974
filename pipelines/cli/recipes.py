"""The commands that write a recipe and make it an expansion, or no longer one."""

from collections.abc import Callable

import click

from ops.recipe.changes import Changes
from ops.workspaces.workspace import Workspace
from pipelines.cli.options import WRITE, complete_active, complete_recipe


@click.command()
@click.argument("name")
@click.option("--from", "template", required=True, shell_complete=complete_recipe, help="The recipe to copy.")
@click.option("--source", help="A source described in sources/; default: that of the copied recipe.")
@WRITE
@click.pass_obj
def new(
    open_workspace: Callable[[], Workspace], name: str, template: str, source: str | None, changes: Changes
) -> None:
    """Write recipes/NAME.yaml as a copy of another recipe, comments and all."""
    from ops.scaffold.workspace import create_recipe

    path, brought = create_recipe(open_workspace(), name, template=template, source=source, changes=changes)
    if brought is not None:
        click.echo(f"sources/{brought.name}.yaml is written; put there, into {brought.path}: {brought.origin}")
    click.echo(f"{path} is written; make it an expansion with: growset activate {name}")


@click.command()
@click.argument("expansion", shell_complete=complete_recipe)
@click.pass_obj
def activate(open_workspace: Callable[[], Workspace], expansion: str) -> None:
    """Add a recipe to the active expansions."""
    from pipelines.cli.commands import activate_recipe

    if not activate_recipe(open_workspace(), expansion):
        click.echo(f"{expansion} is already active")
        return
    click.echo(f"{expansion} is active; run it with: growset run {expansion}")


@click.command()
@click.argument("expansion", shell_complete=complete_active)
@click.pass_obj
def deactivate(open_workspace: Callable[[], Workspace], expansion: str) -> None:
    """Remove an expansion from the active ones; its recipe and its data stay."""
    from pipelines.cli.commands import deactivate_recipe

    deactivate_recipe(open_workspace(), expansion)
    click.echo(f"{expansion} is no longer active; its recipe and data stay")


OF_RECIPES = (new, activate, deactivate)
