"""A comparison of recipes as plain JSON, for the terminal, the page and scripts alike.

Everything is read from what runs left behind; nothing is trained or evaluated.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from ops.chain.contents import FIRST
from ops.files.manifests import read_manifest
from ops.files.outputs import REPORT
from ops.study.comparing.ranking import Ranking, Standing, rank_recipes
from ops.study.comparing.recipes import Candidate, Finished, describe_candidate, read_finished
from ops.study.comparing.same_images import FEWEST, require_same_images, require_same_questions, require_several
from ops.study.comparing.telling import list_warnings, tell_ranking
from ops.verdict.estimate import Interval
from ops.verdict.evaluation_count import find_looks
from ops.verdict.points import format_points
from ops.workspaces.workspace import Workspace


def compare_recipes(workspace: Workspace, names: Sequence[str]) -> dict[str, Any]:
    """The comparison of recipes with these names. UserError for too few, for a name that is wrong or given twice, and
    for recipes of different images, metrics or folds."""
    lack = f"a comparison needs at least {FEWEST} recipes; of one, the report says all: growset report"
    require_several(names, lack)
    candidates = [describe_candidate(workspace, name) for name in names]
    require_same_images(candidates)
    finished = [read_finished(workspace, each) for each in candidates if each.pending is None]
    require_same_questions(finished)
    return describe_comparison(workspace, candidates, finished)


def describe_comparison(
    workspace: Workspace, candidates: Sequence[Candidate], finished: Sequence[Finished]
) -> dict[str, Any]:
    """What recipes of the same images and questions show beside each other; `finished` are those that were run."""
    ranking = _rank(finished) if finished else None
    standings = [] if ranking is None else ranking.standings
    rows = [_describe_finished(workspace, _find(finished, each.recipe), each) for each in standings]
    pending = [
        {"recipe": each.recipe, "state": "pending", "why": each.pending, "commands": list(each.commands)}
        for each in candidates
        if each.pending
    ]
    found: dict[str, Any] = {
        "source": candidates[0].source,
        "recipes": [*rows, *pending],
        "compared": 0,
        "warnings": list_warnings(candidates, finished),
    }
    if ranking is None:
        return {**found, "sentence": "None of these recipes has been run, so there is nothing to compare yet."}
    first = finished[0]
    stored = read_manifest(workspace.output(first.recipe, FIRST))["metrics"]
    folds = first.candidate.folds
    return {
        **found,
        "sentence": tell_ranking(ranking, len(first.images.labels)),
        "decision": ranking.decision,
        "metric": ranking.metric,
        "confidence": ranking.confidence,
        "compared": ranking.compared,
        "folds": folds,
        "images": {split: stored[split] for split in ("train", "validation", "test")},
        "test_images": len(first.images.labels),
        "looks": None if folds is not None else find_looks(workspace, first.recipe).total,
        "leader": ranking.leader,
        "best": {"arm": ranking.best, "recipe": ranking.best_of},
        "classes": _describe_classes(ranking, first.images.labels, first.images.class_names),
    }


def _rank(finished: Sequence[Finished]) -> Ranking:
    images = finished[0].images
    return rank_recipes(
        [each.entrant for each in finished],
        images.labels,
        images.class_names,
        metric=finished[0].verdict["metric"],
        confidence=max(each.verdict["confidence"] for each in finished),
        validation_images=images.validation,
        folds=images.folds,
        units=images.units,
        train_counts=images.train_counts,
    )


def _find(finished: Sequence[Finished], recipe: str) -> Finished:
    return next(each for each in finished if each.recipe == recipe)


def _describe_finished(workspace: Workspace, found: Finished, standing: Standing) -> dict[str, Any]:
    verdict, arms = found.verdict, {row["arm"]: row for row in found.verdict["arms"]}
    decisive = next((row["difference"] for row in verdict["contrasts"] if row["role"] == "decisive"), None)
    report = workspace.output(found.recipe, "report") / REPORT
    return {
        "recipe": found.recipe,
        "state": "finished",
        "decision": verdict["decision"],
        "sentence": verdict["sentence"],
        "confidence": verdict["confidence"],
        "generator_used": verdict["generator_used"],
        "among": standing.among,
        "challenger": standing.challenger,
        "baseline": standing.baseline,
        "score": None if standing.challenger is None else arms[standing.challenger]["score"],
        "baseline_score": arms[standing.baseline]["score"],
        "validation": arms[standing.challenger or standing.baseline]["validation"],
        "own_gain": decisive,
        "gain": _to_dict(standing.gain),
        "over_best": _to_dict(standing.over_best),
        "behind": _to_dict(standing.behind),
        "worth": found.worth,
        "seeds": verdict["seeds"],
        "steps": verdict["budget"]["steps"],
        "batch_size": verdict["budget"]["batch_size"],
        "generator": found.kind,
        "generated": found.generated,
        "real_weight": found.real_weight,
        "seconds": dict(found.seconds),
        "total_seconds": sum(found.seconds.values()),
        "bytes": found.bytes,
        "report": str(report) if report.exists() else None,
    }


def _describe_classes(ranking: Ranking, labels: np.ndarray, names: Sequence[str]) -> list[dict[str, Any]]:
    """A row for each class: its images, the best arm's accuracy, and by recipe the points over it."""
    rows = {standing.recipe: standing.classes for standing in ranking.standings if standing.classes}
    counts = np.bincount(labels, minlength=len(names)).tolist()
    found = []
    for label, name in enumerate(names):
        each = {recipe: classes[label] for recipe, classes in rows.items()}
        one = next(iter(each.values()), None)
        found.append(
            {
                "name": name,
                "images": counts[label],
                "train_images": None if one is None else one.train_images,
                "best": None if one is None else one.baseline,
                "gains": {
                    recipe: {"difference": _to_dict(row.difference), "clear": row.clear} for recipe, row in each.items()
                },
            }
        )
    return found


def _to_dict(interval: Interval | None) -> dict[str, float] | None:
    return None if interval is None else asdict(interval)


def format_gain(interval: Mapping[str, float] | None) -> str:
    """A difference in points with its limits; a dash where there is none."""
    return "–" if interval is None else format_points(interval)
