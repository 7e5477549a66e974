"""Whether an expansion is complete, from its manifests alone: cheap enough to be asked before every scheduled run.

No output is hashed and DVC is not asked; `ops.chain.updating` does both for a run.
"""

from __future__ import annotations

from ops.chain.contents import read_content
from ops.chain.driver import FIRST
from ops.chain.publishing import find_unpublished
from ops.chain.triggers import gate
from ops.errors import DamagedData, GrowsetError
from ops.files.outputs import VERDICT
from ops.files.storage import read_json
from ops.recipe.schema import Recipe
from ops.recipe.stages import STAGES
from ops.stages.materialization import find_staleness
from ops.workspaces.workspace import Workspace


def find_outdated(workspace: Workspace, expansion: str, recipe: Recipe, content: str, publish: str) -> str | None:
    """The first output that does not follow from recipe, versions and the source's `content`, and why; None if all do.

    The published dataset counts where the present verdict passes the gate of `publish`: built, pushed and committed.
    """
    for stage in STAGES:
        source = content if stage == FIRST else read_content(workspace, recipe, stage)
        if stale := find_staleness(workspace, expansion, stage, recipe, source, files=False):
            return f"{stage} {stale.why}"
    try:
        refusal = find_refusal(workspace, expansion, publish)
    except (OSError, DamagedData) as error:
        return f"the verdict cannot be read: {error}"
    if refusal is not None:
        return None
    try:
        return find_unpublished(workspace, expansion, recipe)
    except (GrowsetError, OSError) as error:  # the run tells it
        return f"it cannot be told whether all is published: {error}"


def find_refusal(workspace: Workspace, expansion: str, publish: str) -> str | None:
    """Why a run that started by itself does not publish the present outputs; None if it does.

    DamagedData if the verdict is not what its stage wrote, FileNotFoundError if there is none.
    """
    path = workspace.output(expansion, "verdict") / VERDICT
    verdict = read_json(path)
    try:
        return gate(publish, verdict)
    except (KeyError, TypeError):
        raise DamagedData(f"{path} holds no verdict; make it again: growset run {expansion}") from None
