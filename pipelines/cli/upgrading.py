"""The command `growset upgrade`: dvc.yaml and params.yaml of a workspace that an older Growset made."""

from collections.abc import Callable
from contextlib import ExitStack

import click

from ops.workspaces.versions import describe_older
from ops.workspaces.workspace import Workspace


def warn_of_older(workspace: Workspace) -> None:
    """Say on stderr if versions of stages are below those of this Growset."""
    if sentence := describe_older(workspace):
        click.echo(f"warning: {sentence}", err=True)


@click.command()
@click.option("--dry-run", is_flag=True, help="Show the changes as a diff, and write nothing.")
@click.pass_obj
def upgrade(open_workspace: Callable[[], Workspace], dry_run: bool) -> None:
    """Add what the workspace's dvc.yaml and params.yaml lack, where an older Growset wrote them.

    Stages, their inputs and versions are added as in a new workspace; your own stages, keys and comments stay. What
    stages with a higher version have made is made again by the next run.
    """
    from ops.scaffold.upgrade import plan_upgrade, write_upgrade
    from ops.workspaces.locks import exclusive_run, require_no_stage

    workspace = open_workspace()
    with ExitStack() as stack:
        if not dry_run:  # a run reads both files at every stage
            for expansion in workspace.expansions:
                stack.enter_context(exclusive_run(workspace, expansion))
            # A stage holds no run's lock, and at its end it compares its version with params.yaml.
            require_no_stage(workspace, sorted({*workspace.expansions, *workspace.available_recipes()}))
        if not (upgrades := plan_upgrade(workspace)):
            click.echo(f"{workspace.root}: nothing to do, it has all that this Growset needs")
            return
        if dry_run:
            click.echo("".join(each.diff for each in upgrades), nl=False)
            click.echo("nothing is written; to write this: growset upgrade")
            return
        write_upgrade(workspace, upgrades)
    for each in upgrades:
        click.echo("\n".join(each.told))
    click.echo(f"commit it when you like it: git add {' '.join(each.path.name for each in upgrades)}")
