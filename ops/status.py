"""Where each expansion stands: which stages are current, stale, missing or running, and what was published.

DVC is asked once for each expansion, because a mistake in one recipe must not hide the state of the others.
Nothing is computed and nothing is written but DVC's own caches.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ops.chain.running import validate
from ops.errors import GrowsetError
from ops.locks import is_running
from ops.publishing import is_published
from ops.recipe.stages import PUBLISHED, STAGES
from ops.stage import MANIFEST
from ops.storage import read_json
from ops.versioning import address, changed_stages, stage_addresses
from ops.workspace import Workspace

STATES = ("current", "stale", "missing", "running")


def describe_status(workspace: Workspace, expansion: str) -> dict[str, Any]:
    """`stages`: state of each by name, with the published dataset as the last; `stale`: DVC's reasons;
    `verdict`: the decision on disk and its sentence, or None; `error`: the sentence if the recipe is wrong.
    """
    try:
        recipe = validate(workspace, expansion)
        changed = changed_stages(workspace.root, stage_addresses(expansion))
        states = {stage: _find_state(workspace, expansion, stage, changed) for stage in STAGES}
        published = workspace.published(expansion).with_suffix(".dvc").exists()
        fresh = set(states.values()) == {"current"} and is_published(workspace, expansion, recipe, ask_remote=False)
        states[PUBLISHED] = "current" if fresh else "stale" if published else "missing"
    except GrowsetError as error:
        return {"error": str(error), "stages": {}, "stale": {}, "verdict": None}
    reasons = {stage: changed[address(stage, expansion)] for stage in STAGES if states[stage] == "stale"}
    return {"error": None, "stages": states, "stale": reasons, "verdict": _read_verdict(workspace, expansion)}


def _find_state(workspace: Workspace, expansion: str, stage: str, changed: Mapping[str, object]) -> str:
    if is_running(workspace, expansion, stage):
        return "running"
    if not (workspace.output(expansion, stage) / MANIFEST).exists():
        return "missing"
    return "stale" if address(stage, expansion) in changed else "current"


def _read_verdict(workspace: Workspace, expansion: str) -> dict[str, str] | None:
    path = workspace.output(expansion, "verdict") / "verdict.json"
    if not path.exists():
        return None
    verdict = read_json(path)
    return {"decision": verdict["decision"], "sentence": verdict["sentence"]}
