"""Whether an expansion is complete, from its manifests alone: cheap enough to be asked before every scheduled run.

No file is hashed and DVC is not asked; `ops.chain.updating` does both for a run.
"""

from __future__ import annotations

from ops.chain.driver import FIRST
from ops.chain.triggers import gate
from ops.errors import DamagedData, GrowsetError
from ops.files.manifests import PUBLISHED, read_manifest
from ops.files.outputs import VERDICT
from ops.files.storage import read_json
from ops.recipe.schema import Recipe
from ops.recipe.stages import PUBLISHED_INPUTS, STAGES
from ops.stages.materialization import find_staleness
from ops.workspaces.workspace import Workspace


def find_outdated(workspace: Workspace, expansion: str, recipe: Recipe, content: str, publish: str) -> str | None:
    """The first output that does not follow from recipe, versions and the source's `content`, and why; None if all do.

    The published dataset counts where the present verdict passes the gate of `publish`.
    """
    for stage in STAGES:
        source = content if stage == FIRST else None
        if stale := find_staleness(workspace, expansion, stage, recipe, source, files=False):
            return f"{stage} {stale.why}"
    try:
        refusal = find_refusal(workspace, expansion, publish)
    except (FileNotFoundError, DamagedData) as error:
        return f"the verdict cannot be read: {error}"
    if refusal is None and not _is_published(workspace, expansion):
        return f"{PUBLISHED} is not of the present outputs"
    return None


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


def _is_published(workspace: Workspace, expansion: str) -> bool:
    """Whether the dataset in published/ was made from the present outputs, and DVC has been told."""
    try:
        known = read_manifest(workspace.published(expansion))["inputs"]
    except GrowsetError:
        return False
    now = {name: read_manifest(workspace.output(expansion, name))["content"] for name in PUBLISHED_INPUTS}
    return workspace.pointer(expansion).exists() and now.items() <= known.items()
