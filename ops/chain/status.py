"""The state of each expansion: which stages and whether its published dataset are current, stale, damaged or missing.

DVC is asked once per expansion, because a mistake in one recipe must not hide the state of the others.
Nothing is computed, and only caches are written.
"""

from __future__ import annotations

from typing import Any

from ops.chain.contents import read_contents
from ops.chain.driver import validate
from ops.chain.publishing import is_published
from ops.errors import GrowsetError
from ops.files.manifests import MANIFEST, PUBLISHED
from ops.files.outputs import VERDICT
from ops.files.storage import read_json
from ops.history.dvc_repository import Busy, address, find_changes, stage_addresses
from ops.recipe.schema import Recipe
from ops.recipe.stages import STAGES
from ops.stages.integrity import find_stage_damage
from ops.stages.materialization import find_staleness
from ops.workspaces.locks import is_running
from ops.workspaces.workspace import Workspace


def describe_status(workspace: Workspace, expansion: str) -> dict[str, Any]:
    """The state of an expansion.

    stages : state of each by name (current, stale, damaged, missing or running), the published dataset last.
    stale : reasons for each stale or damaged one, from DVC and from Growset's manifests. verdict : the decision on disk
    and its sentence; None if there is none or it is damaged. error : the sentence if the recipe is wrong, else None.
    """
    try:
        recipe = validate(workspace, expansion)
        contents = read_contents(workspace, recipe)
        try:
            changed = find_changes(workspace.root, stage_addresses(expansion))
        except Busy:  # another process may hold DVC's lock for hours; Growset's own comparison is enough
            changed = {}
        found = {
            stage: _describe_stage(
                workspace, expansion, stage, recipe, contents.get(stage), changed.get(address(stage, expansion), [])
            )
            for stage in STAGES
        }
        found[PUBLISHED] = _describe_published(workspace, expansion)
        all_current = {state for state, _ in found.values()} == {"current"}
        if found[PUBLISHED][0] == "current" and not (
            all_current and is_published(workspace, expansion, recipe, ask_remote=False)
        ):
            found[PUBLISHED] = ("stale", [])
    except GrowsetError as error:
        return {"error": str(error), "stages": {}, "stale": {}, "verdict": None}
    states = {name: state for name, (state, _) in found.items()}
    stale = {name: reasons for name, (state, reasons) in found.items() if state in ("stale", "damaged") and reasons}
    intact = states["verdict"] in ("current", "stale") and not find_stage_damage(workspace, expansion, "verdict")
    verdict = _read_verdict(workspace, expansion) if intact else None
    return {"error": None, "stages": states, "stale": stale, "verdict": verdict}


def _describe_stage(
    workspace: Workspace, expansion: str, stage: str, recipe: Recipe, content: str | None, reasons: list[str]
) -> tuple[str, list[str]]:
    """State of a stage, with DVC's reasons and Growset's own."""
    if is_running(workspace, expansion, stage):
        return "running", []
    if not (workspace.output(expansion, stage) / MANIFEST).exists():
        return "missing", []
    own = find_staleness(workspace, expansion, stage, recipe, content)
    if own is None:
        reasons = [] if STAGES[stage].reads_part else reasons
        return ("stale" if reasons else "current"), reasons
    return ("damaged" if own.damaged else "stale"), [*reasons, own.why]


def _describe_published(workspace: Workspace, expansion: str) -> tuple[str, list[str]]:
    """State of the published dataset and the reasons, judged by its own files alone."""
    if not workspace.pointer(expansion).exists():
        return "missing", []
    if (workspace.published(expansion) / MANIFEST).exists() and (
        damage := find_stage_damage(workspace, expansion, PUBLISHED)
    ):
        return "damaged", [f"is damaged: {damage}"]
    return "current", []


def _read_verdict(workspace: Workspace, expansion: str) -> dict[str, str]:
    verdict = read_json(workspace.output(expansion, "verdict") / VERDICT)
    return {"decision": verdict["decision"], "sentence": verdict["sentence"]}
