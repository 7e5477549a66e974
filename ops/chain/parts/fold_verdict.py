"""The verdict over folds: from every network's answers about the test images of its fold.

Each image is a test image once. Row s of an arm's answers joins the networks of seed s of all folds. Test pixels are
not read here: the stage `folds` did that.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from ops.chain.parts.controlled import tell_left_out
from ops.chain.parts.pools import tell_pool
from ops.chain.parts.reference import LOGGED
from ops.datasets.index import write_index
from ops.datasets.units import find_units
from ops.files.manifests import read_manifest
from ops.files.outputs import FOLD_ANSWERS, FOLDS, RUNS, VERDICT
from ops.files.storage import read_json, write_json
from ops.recipe.arms import Arm
from ops.recipe.contrastive_arms import find_largest_batch
from ops.recipe.costs import measure_cost
from ops.recipe.counterparts import pair_counterparts
from ops.recipe.pool_arms import list_seeing
from ops.stages.materialization import StageRun
from ops.stages.seen import read_seen
from ops.stages.several import assign_generators
from ops.verdict.comparison import Comparison
from ops.verdict.decision import decide
from ops.verdict.pool import compare_pool
from ops.verdict.records import Budget, Verdict
from ops.verdict.reference import ReferenceAnswers, choose_checked_metric
from ops.verdict.same_compute import Row, compare_same_compute

ENSEMBLE = "ensemble"  # beside the arms in the answers, with LOGGED; neither has a seed
LEFT_OUT = "left_out"  # of a fold in folds.json: arms whose images the controller left out; absent where it did not


def judge_folds(run: StageRun) -> dict[str, Any]:
    """Write verdict.json and runs.parquet; returns the metrics that every verdict has."""
    answers = FoldAnswers(run.inputs["folds"])
    units = answers.find_units(run.inputs["real_images"])
    class_names = read_manifest(run.inputs["real_images"])["metrics"]["class_names"]
    verdict = _decide(run, answers, class_names, units)
    verdict = replace(verdict, sentence=verdict.sentence + answers.tell_left_out())
    seen = read_seen(run.inputs.get("prior"), run.inputs["generated_images"])
    pool = compare_pool(verdict, list_seeing(run.recipe.baselines))
    if seen is not None and verdict.unused_folds != verdict.folds:
        # No labelled image may be in the pool.
        verdict = replace(verdict, sentence=verdict.sentence + tell_pool(seen, 0, pool))
    ways = _compare_ways(answers, run.recipe.verdict.confidence, units)
    rows = describe_folds(answers)
    found = verdict.to_dict() | {
        "earlier_looks": [],
        "left_out": {},
        "same_compute": [row.to_dict() for row in ways],
        "per_fold": rows,
        "per_fold_metric": choose_checked_metric(verdict.metric),
        **({} if seen is None else {"prior": seen.to_dict()}),
        **({} if pool is None else {"pool": pool.to_dict()}),
    }
    write_json(run.out / VERDICT, found)
    write_index(run.out / RUNS, answers.list_runs())
    run.runtime.sink(verdict.sentence)
    decisive, reference = verdict.contrasts[0].difference, verdict.reference
    assert reference is not None
    return {
        "decision": verdict.decision,
        "sentence": verdict.sentence,
        "metric": verdict.metric,
        "difference": round(decisive.estimate, 6),
        "difference_low": round(decisive.low, 6),
        "difference_high": round(decisive.high, 6),
        "smallest_detectable_effect": verdict.smallest_detectable_effect,
        **{f"test_{row.arm}": round(row.score.estimate, 6) for row in verdict.arms},
        "reference_test": round(reference.score.estimate, 6),
        "has_learnt": verdict.has_learnt,
        "generator_used": verdict.unused_folds != verdict.folds,
        "folds": len(answers.folds),
    }


@dataclass(frozen=True)
class FoldAnswers:
    """The output of the stage `folds`, as arrays over all n images, fold by fold."""

    folder: Path

    @cached_property
    def facts(self) -> dict[str, Any]:
        found: dict[str, Any] = read_json(self.folder / FOLDS)
        return found

    @property
    def folds(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.facts["folds"]
        return found

    @cached_property
    def table(self) -> pl.DataFrame:
        return pl.read_parquet(self.folder / FOLD_ANSWERS)

    @cached_property
    def images(self) -> pl.DataFrame:
        """fold, image_id and label of each image."""
        return self.table.filter(pl.col("arm") == LOGGED).select("fold", "image_id", "label")

    @cached_property
    def labels(self) -> np.ndarray:
        return self.images["label"].to_numpy()

    @cached_property
    def members(self) -> np.ndarray:
        return self.images["fold"].to_numpy()

    def find_units(self, real: Path) -> np.ndarray | None:
        """The unit of each image, int64 [n], by the output of `real_images`; None where the source has no groups."""
        return find_units(real, self.images.with_columns(parent_id=pl.lit(None, pl.String)))

    @cached_property
    def kinds(self) -> dict[str, Any]:
        """The kind of each arm that has answers of its own."""
        return {arm: entry["kind"] for arm, entry in self.facts["arms"].items() if entry["same_as"] is None}

    @property
    def aliases(self) -> dict[str, str]:
        return {arm: entry["same_as"] for arm, entry in self.facts["arms"].items() if entry["same_as"] is not None}

    @property
    def left_out(self) -> dict[str, int]:
        """In how many folds the controller left out the arm's generated images, by arm."""
        return dict(Counter(arm for fold in self.folds for arm in fold.get(LEFT_OUT, ())))

    def tell_left_out(self) -> str:
        """Sentences, with a space before each, about arms that learnt from no generated image; folds that used none do
        not count."""
        used = sum(fold["not_used"] is None for fold in self.folds)
        told = [
            tell_left_out(
                [arm for arm, times in self.left_out.items() if times == count],
                "" if count == used else f" in {count} of {used} folds",
            )
            for count in sorted(set(self.left_out.values()), reverse=True)
        ]
        return "".join(told)

    @property
    def generators(self) -> list[int] | None:
        """The generator of each seed of the expanded arms; None for one generator."""
        count = max(int(fold["generators"]) for fold in self.folds)
        seeds = len(self.read(self.facts["challenger"]))
        return assign_generators(seeds, count) if count > 1 else None

    def read(self, arm: str, column: str = "correct") -> np.ndarray:
        """bool or float [S, n]: row s joins the answers of the s-th seed of every fold."""
        own = self.table.filter(pl.col("arm") == arm).partition_by("fold", maintain_order=True)
        sizes = np.bincount(self.members)[1:]
        joined = [part[column].to_numpy().reshape(-1, size) for part, size in zip(own, sizes, strict=True)]
        return np.concatenate(joined, axis=1)

    def is_known(self, arm: str, column: str) -> bool:
        """Whether `read` has this column of the arm for every image."""
        return not self.table.filter(pl.col("arm") == arm)[column].has_nulls()

    def average_validation(self, arm: str) -> float:
        return float(np.mean([fold["arms"][arm]["validation"] for fold in self.folds]))

    def average_classes(self, arm: str) -> list[float]:
        """Validation accuracy on each class, the mean over folds; nan for a class without images."""
        rates = np.array([fold["arms"][arm]["validation_per_class"] for fold in self.folds], np.float64)
        known = ~np.isnan(rates)
        return np.where(known.any(axis=0), np.nansum(rates, axis=0) / np.maximum(known.sum(axis=0), 1), np.nan).tolist()

    def find_budget(self, arms: Sequence[Arm]) -> Budget:
        """arms: those that were trained."""
        steps = [entry["steps"] for fold in self.folds for entry in fold["arms"].values()]
        batch_size = self.folds[0]["batch_size"]
        fewest = min(steps) if min(steps) < max(steps) else None
        return Budget(max(steps), batch_size, fewest, find_largest_batch(arms, batch_size))

    def read_reference(self) -> ReferenceAnswers:
        """One name where all folds chose the same features."""
        names = list(dict.fromkeys(fold["reference"]["name"] for fold in self.folds))
        validation = float(np.mean([fold["reference"]["validation"] for fold in self.folds]))
        return ReferenceAnswers(" or ".join(names), self.read(LOGGED)[0], validation)

    def list_runs(self) -> pl.DataFrame:
        """Rows of runs.parquet. Seeds are numbered from 0 in each fold, because folds have seeds of their own."""
        number = pl.col("seed").rank("dense").over("fold", "arm").cast(pl.Int64) - 1
        return self.table.select("arm", number.alias("seed"), "fold", "image_id", "correct").filter(
            pl.col("arm") != ENSEMBLE
        )


def _decide(run: StageRun, answers: FoldAnswers, class_names: list[str], units: np.ndarray | None) -> Verdict:
    kinds, facts, classifier = answers.kinds, answers.facts, run.recipe.classifier
    arms = {**run.recipe.baselines, **run.recipe.expanded}
    verdict = decide(
        {arm: answers.read(arm) for arm in kinds},
        kinds,
        {arm: answers.average_validation(arm) for arm in kinds},
        answers.labels,
        class_names,
        metric=facts["metric"],
        budget=answers.find_budget([arms[arm] for arm in kinds]),
        aliases=answers.aliases,
        confidence=run.recipe.verdict.confidence,
        generators=answers.generators,
        validation_images=sum(fold["images"]["validation"] for fold in answers.folds),
        validation_per_class={arm: answers.average_classes(arm) for arm in kinds},
        reference=answers.read_reference(),
        folds=answers.members,
        units=units,
        unused_folds=sum(fold["not_used"] is not None for fold in answers.folds),
        train_counts=np.bincount(answers.labels, minlength=len(class_names)).tolist(),  # a fold trains on most of these
        confidences={arm: answers.read(arm, "confidence").astype(np.float64) for arm in kinds},
        costs={arm: measure_cost(arms[arm], classifier.seeds, classifier.batch_size) for arm in kinds},
        counterparts=list_counterparts(run, answers),
    )
    assert (verdict.baseline, verdict.challenger) == (facts["baseline"], facts["challenger"])
    return verdict


def list_counterparts(run: StageRun, answers: FoldAnswers) -> list[tuple[str, str]]:
    """Pairs of arms; none where a fold used nothing generated: another arm answers for the expanded ones there.

    Nor is an arm in a pair of whose generated images the controller left out in some fold.
    """
    if any(fold["not_used"] is not None for fold in answers.folds):
        return []
    pairs = pair_counterparts(run.recipe.baselines, run.recipe.expanded, answers.aliases)
    return [pair for pair in pairs if not answers.left_out.keys() & set(pair)]


def _compare_ways(answers: FoldAnswers, confidence: float, units: np.ndarray | None) -> list[Row]:
    """What the same compute buys; mirrored images where every fold trained with them."""
    baseline, challenger = answers.facts["baseline"], answers.facts["challenger"]
    mirrored = [arm for arm in (baseline, challenger) if answers.is_known(arm, "mirrored")]
    return compare_same_compute(
        answers.read(baseline),
        answers.read(challenger),
        answers.read(ENSEMBLE)[0],
        {arm: answers.read(arm, "mirrored") for arm in mirrored},
        answers.labels,
        baseline=baseline,
        challenger=challenger,
        metric=answers.facts["metric"],
        confidence=confidence,
        generators=answers.generators,
        validation_per_class={arm: answers.average_classes(arm) for arm in (baseline, challenger)},
        folds=answers.members,
        units=units,
    )


def describe_folds(answers: FoldAnswers) -> list[dict[str, Any]]:
    """A row for each fold: its images, the scores of the compared arms on them, and whether images were generated.

    A verdict in the accuracy of the worst class shows balanced accuracy: a class has few images in one fold.
    """
    baseline, challenger = answers.facts["baseline"], answers.facts["challenger"]
    metric = choose_checked_metric(answers.facts["metric"])
    comparison = Comparison(
        {arm: answers.read(arm) for arm in dict.fromkeys((baseline, challenger))},
        answers.labels,
        folds=answers.members,
    )
    scores: Mapping[str, np.ndarray] = {
        arm: comparison.differ_in_folds(arm, None, metric) for arm in (baseline, challenger)
    }
    return [
        {
            "fold": fold["fold"],
            "images": fold["images"],
            "generated": fold["generated"],
            "not_used": fold["not_used"],
            "baseline": round(float(scores[baseline][place]), 6),
            "challenger": round(float(scores[challenger][place]), 6),
        }
        for place, fold in enumerate(answers.folds)
    ]
