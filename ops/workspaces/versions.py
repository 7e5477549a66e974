"""A workspace's versions of the stages, `stage_versions` in params.yaml, beside those of this Growset.

One below was left by an older Growset: outputs of its code count as current, and new ones are filed under it. That is
allowed, because what an older version made stays of use, and is said. One above was left by a newer Growset, whose
outputs this one must not imitate. The module does not know what a version changed.
"""

from __future__ import annotations

from collections.abc import Iterable

from ops.errors import UserError
from ops.files.shipped import shipped
from ops.recipe.stages import STAGES
from ops.workspaces.workspace import PARAMS, Workspace


def read_shipped_versions() -> dict[str, int]:
    """The version of each stage's code in this Growset."""
    code = Workspace(shipped())
    return {stage: code.stage_version(stage) for stage in STAGES}


def require_known_versions(workspace: Workspace) -> None:
    """UserError for a version that is missing, is no whole number from 1, or is above that of this Growset."""
    require_no_newer(workspace, STAGES)


def require_no_newer(workspace: Workspace, stages: Iterable[str]) -> None:
    """The same for some of the stages."""
    shipped_versions = read_shipped_versions()
    for stage in stages:
        if (version := workspace.stage_version(stage)) > (ours := shipped_versions[stage]):
            raise UserError(
                f"stage_versions.{stage} in {workspace.root / PARAMS} is {version}, and this Growset's is {ours}, so a"
                " newer Growset made this workspace; update Growset"
            )


def describe_older(workspace: Workspace) -> str | None:
    """One sentence on the versions below those of this Growset; None without any."""
    shipped_versions = read_shipped_versions()
    older = [stage for stage, ours in shipped_versions.items() if workspace.stage_version(stage) < ours]
    if not older:
        return None
    first, others, be = older[0], f" and {len(older) - 1} more", "are"
    if len(older) == 1:
        others, be = "", "is"
    return (
        f"stage_versions.{first}{others} in {workspace.root / PARAMS} {be} below this Growset's"
        f" ({workspace.stage_version(first)} < {shipped_versions[first]}), so outputs of older code count as current;"
        " raise what is below with: growset upgrade"
    )
