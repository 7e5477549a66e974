"""Look at recipes with changes of the command line; no file is written."""

from collections.abc import Iterable
from dataclasses import replace

import click

from ops.recipe.changes import Changes, change_recipe
from ops.workspaces.workspace import Workspace


def look_with(workspace: Workspace, expansions: Iterable[str], changes: Changes, *, err: bool = False) -> Workspace:
    """The workspace with `changes` to its recipes in memory; prints what changes, to stderr with `err`."""
    if not changes:
        return workspace
    for expansion in expansions:
        workspace.load_recipe(expansion)
        path = workspace.recipe_path(expansion)
        for line in change_recipe(path, changes)[1]:
            click.echo(f"{path}: {line} (for this command only; the file stays as it is)", err=err)
    return replace(workspace, changes=changes)
