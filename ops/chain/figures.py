"""What DVC shows of an expansion, read from its present outputs: the numbers of `dvc metrics`, the rows of `dvc plots`.

An output counts only if it and everything before it follow from each other. After `dvc exp run` of an early stage, an
older verdict does not stand beside the new numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ops.errors import DamagedData, UserError
from ops.files.manifests import read_manifest
from ops.files.outputs import LEARNING_CURVE, VERDICT
from ops.files.storage import read_json
from ops.history.figures import EMPTY, NOT_RUN, store_figures
from ops.recipe.stages import STAGES, upstream
from ops.stages.integrity import find_stage_damage
from ops.stages.several import count_generators, place
from ops.workspaces.workspace import Workspace

LAST = "verdict"  # the last stage that a figure shows
SHOWN = ("generator", "accepted_images", "baseline_classifiers", "expanded_classifiers", LAST)
VALIDATION, REJECTED = "validation_", "rejected_"  # what names of metrics begin with


def write_figures(workspace: Workspace, expansion: str) -> None:
    """Bring the expansion's files in figures/ up to date; what has not run yet is left out."""
    store_figures(workspace.root, expansion, collect_figures(workspace, expansion))


def collect_figures(workspace: Workspace, expansion: str) -> dict[str, Any]:
    """The content of each figure by its folder, in the order of `EMPTY`.

    Accuracies on validation come first: whoever compares experiments has to choose by them, not by the test images.
    """
    manifests = _read_manifests(workspace, expansion)
    metrics = {
        stage: manifests[stage]["metrics"]
        for stage in SHOWN
        if _follows(stage, manifests) and not find_stage_damage(workspace, expansion, stage)
    }
    validation = _read_validation(metrics)
    verdict = metrics.get(LAST, {})
    found = {
        "validation": validation,
        "accept_rate": metrics.get("accepted_images", {}).get("accept_rate"),
        "frechet": metrics.get("generator", {}).get("quality_frechet"),
        "decision": verdict.get("decision", NOT_RUN),
        "difference": verdict.get("difference"),
        "low": verdict.get("difference_low"),
        "high": verdict.get("difference_high"),
        "looks": verdict.get("looks"),
    }
    rows = (
        [{"arm": arm, "validation": value} for arm, value in validation.items()],
        _list_classes(workspace, expansion) if verdict else [],
        _list_outcomes(metrics.get("accepted_images", {})),
        _list_steps(workspace, expansion) if "generator" in metrics else [],
    )
    known = {key: value for key, value in found.items() if value not in (None, {})}
    return dict(zip(EMPTY, (known, *rows), strict=True))


def _read_manifests(workspace: Workspace, expansion: str) -> dict[str, Mapping[str, Any]]:
    """The manifests of the outputs that are here. A damaged one is left out; the run that finds it tells."""
    found: dict[str, Mapping[str, Any]] = {}
    for stage in STAGES:
        try:
            found[stage] = read_manifest(workspace.output(expansion, stage))
        except (UserError, DamagedData):
            continue
    return found


def _follows(stage: str, manifests: Mapping[str, Mapping[str, Any]]) -> bool:
    """Whether this output and all before it were made from each other as they are now."""
    chain = [*upstream(stage), stage]
    return all(name in manifests for name in chain) and all(
        manifests[name]["inputs"].get(before) == manifests[before]["content"]
        for name in chain
        for before in STAGES[name].inputs
        if before in STAGES[name].recorded or before in manifests[name]["inputs"]
    )


def _read_validation(metrics: Mapping[str, Mapping[str, Any]]) -> dict[str, float]:
    """Accuracy on validation, in the verdict's metric, by trained arm."""
    sides = (metrics.get(side, {}) for side in ("baseline_classifiers", "expanded_classifiers"))
    return {
        key.removeprefix(VALIDATION): value
        for side in sides
        for key, value in side.items()
        if key.startswith(VALIDATION)
    }


def _list_classes(workspace: Workspace, expansion: str) -> list[dict[str, Any]]:
    """Accuracy gained on each class; none where nothing was compared."""
    verdict = read_json(workspace.output(expansion, LAST) / VERDICT)
    return [
        {"class": row["name"], "difference": round(row["difference"]["estimate"], 6)}
        for row in verdict["per_class"]
        if row["difference"] is not None
    ]


def _list_outcomes(accepted: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Drawn images by outcome; one that breaks two rules counts for both."""
    rejected = {key.removeprefix(REJECTED): n for key, n in accepted.items() if key.startswith(REJECTED)}
    outcomes = {"accepted": accepted.get("accepted", 0), **rejected}
    return [{"outcome": name, "images": images} for name, images in outcomes.items() if images]


def _list_steps(workspace: Workspace, expansion: str) -> list[dict[str, Any]]:
    """The Fréchet distance at each checkpoint, the mean over generators; none for a kind that is not trained here."""
    folder = workspace.output(expansion, "generator")
    paths = [place(folder, number) / LEARNING_CURVE for number in range(count_generators(folder))]
    distances: dict[int, list[float]] = {}
    for path in paths:
        for row in read_json(path) if path.exists() else []:
            if row.get("frechet") is not None:
                distances.setdefault(row["step"], []).append(row["frechet"])
    return [{"step": step, "frechet": round(sum(each) / len(each), 6)} for step, each in sorted(distances.items())]
