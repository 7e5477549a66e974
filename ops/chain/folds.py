"""Stage `folds`: the whole chain on each fold of all images, and every network's answers about its fold's test images.

All folds are trained before a test image is opened. The two arms that are compared are picked on validation, by the
mean over folds. Each fold is a look at its own test images and is written to the evaluation log before it is made.
Where a fold used nothing generated, its expanded arms answer as the picked baseline does: whoever follows the recipe
there trains without generated images. An arm whose images the controller left out wherever there were some is a
baseline, and answers elsewhere as the same arm on real images. What the answers mean is the verdict's part.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from ops.chain.parts.answers import Answers, Network, find_correct
from ops.chain.parts.classifiers import BASELINES, EXPANDED, find_metric, weights_file
from ops.chain.parts.fold_chain import TrainedFold, train_fold
from ops.chain.parts.fold_images import divide_images
from ops.chain.parts.fold_verdict import ENSEMBLE, LEFT_OUT
from ops.chain.parts.look import look
from ops.chain.parts.modes import describe_mode
from ops.chain.parts.reference import LOGGED, read_reference
from ops.datasets.index import write_index
from ops.datasets.pixels import read_rows
from ops.datasets.shards import find_shards
from ops.files.manifests import read_manifest
from ops.files.outputs import FOLD_ANSWERS, FOLDS
from ops.files.storage import write_json
from ops.recipe.arms import Arm
from ops.recipe.counterparts import find_counterpart, name_kind
from ops.stages.materialization import StageRun
from ops.verdict.evaluation_count import Looks, find_looks_at
from ops.verdict.picks import pick_best
from ops.verdict.records import Kind
from ops.verdict.same_compute import average_probabilities
from ops.workspaces.folds import FoldWorkspace


def build_folds(run: StageRun) -> dict[str, Any]:
    """Write folds.json and answers.parquet; folds.json alone, with {}, where the recipe has no folds."""
    count = run.recipe.verdict.folds
    if count is None:
        write_json(run.out / FOLDS, {})
        return {"folds": 0}
    real, metric = run.inputs["real_images"], find_metric(run)
    trained = []
    division, near = divide_images(real, count, run.runtime.sink)
    for number, codes in enumerate(division, start=1):
        workspace = FoldWorkspace(run.workspace.root, number=number, folds=count, metric=metric)
        trained.append(train_fold(workspace, run.expansion, real, codes, run.runtime))
    compared = pick_arms(trained, run.recipe.baselines, run.recipe.expanded)
    tables, looks = [], []
    for fold in trained:
        table, looked = _evaluate_fold(run, fold, compared)
        tables.append(table)
        looks.append(looked.to_metrics())
    write_json(
        run.out / FOLDS,
        {
            "metric": metric,
            "near_duplicates": near,
            "baseline": compared.baseline,
            "challenger": compared.challenger,
            "arms": {arm: {"kind": kind, "same_as": compared.aliases.get(arm)} for arm, kind in compared.kinds.items()},
            "folds": [_describe_fold(fold, compared) for fold in trained],
        },
    )
    write_index(run.out / FOLD_ANSWERS, pl.concat(tables))
    used = sum(fold.refusal is None for fold in trained)
    return {"folds": count, "folds_with_generated": used, "metric": metric, "fold_looks": looks}


@dataclass(frozen=True)
class Compared:
    """The arms of all folds. kinds: side of each arm. aliases: arms that equal another one in every fold that trained
    them. baseline, challenger: the two that validation picked. same: of each arm whose images the controller left out
    everywhere, the same arm on real images."""

    kinds: dict[str, Kind]
    aliases: dict[str, str]
    baseline: str
    challenger: str
    same: dict[str, str]

    def find_source(self, fold: TrainedFold, arm: str) -> str:
        """The trained arm whose networks answer for `arm` in this fold."""
        if fold.find_entry(arm) is None and arm not in self.same:
            arm = self.baseline
        if fold.find_entry(arm) is None:
            arm = self.same[arm]
        return fold.find_trained(arm)


def pick_arms(folds: Sequence[TrainedFold], baselines: Mapping[str, Arm], expanded: Mapping[str, Arm]) -> Compared:
    """Pick the arm of each kind with the best mean validation score over folds; the first one wins a tie."""
    order = sorted(baselines, key=lambda arm: (arm != "real", arm))  # as the arms of one split are ordered
    kinds: dict[str, Kind] = {arm: name_kind(arm, baselines, expanded) for arm in (*order, *sorted(expanded))}
    left_out = [arm for arm in sorted(expanded) if _is_left_out(folds, arm)]
    kinds |= dict.fromkeys(left_out, "baseline")
    alone = {arm: find_counterpart(expanded[arm], baselines) or order[0] for arm in left_out}
    aliases = {arm: same for arm in kinds if (same := _find_common(folds, arm)) is not None}

    def average(arm: str, stand_in: str) -> float:
        other = alone.get(arm, alone.get(stand_in, stand_in))
        entries = (fold.find_entry(arm) or fold.find_entry(other) for fold in folds)
        return float(np.mean([entry["validation"] for entry in entries if entry is not None]))

    def pick(kind: Kind, stand_in: str) -> str:
        return pick_best({a: average(a, stand_in) for a, own in kinds.items() if own == kind and a not in aliases})

    baseline = pick("baseline", order[0])
    return Compared(kinds, aliases, baseline, pick("expanded", baseline), alone)


def _is_left_out(folds: Sequence[TrainedFold], arm: str) -> bool:
    """Whether the controller left out the arm's images in every fold that trained it."""
    trained = [fold for fold in folds if fold.find_entry(arm) is not None]
    return bool(trained) and all(arm in fold.left_out_by_controller for fold in trained)


def _find_common(folds: Sequence[TrainedFold], arm: str) -> str | None:
    """The arm that `arm` equals in every fold that trained it; None if it differs from it somewhere."""
    others = {fold.find_trained(arm) for fold in folds if fold.find_entry(arm) is not None}
    return next(iter(others - {arm})) if len(others) == 1 and arm not in others else None


def _evaluate_fold(run: StageRun, fold: TrainedFold, compared: Compared) -> tuple[pl.DataFrame, Looks]:
    """Rows of answers.parquet for one fold, and the looks at its test images so far."""
    scratch = run.scratch / f"answers-{fold.number}"
    networks = _list_networks(fold, compared)
    rows = read_rows(find_shards(fold.folder("real_images"), "test"))
    answers = look(
        run,
        networks,
        fold.folder("real_images"),
        fold.folder(BASELINES),
        scratch,
        label=f"test images of fold {fold.number} of {fold.workspace.folds}",
    )
    table = _tabulate(fold, compared, rows, answers, scratch)
    return table, find_looks_at(run.workspace, run.expansion, rows)


def _list_networks(fold: TrainedFold, compared: Compared) -> list[Network]:
    """Every network of the fold; those that answer for the compared arms also for what the same compute buys."""
    baseline = compared.find_source(fold, compared.baseline)
    shown = {baseline, compared.find_source(fold, compared.challenger)}
    return [
        Network(
            arm,
            int(seed),
            fold.folder(side) / weights_file(arm),
            found["precision"],
            mirrored=arm in shown and fold.shows_mirrored(arm),
            keeps_probabilities=arm == baseline,
        )
        for side, found in fold.results.items()
        for arm, entry in found["arms"].items()
        for seed in entry["per_seed"]
    ]


def _tabulate(
    fold: TrainedFold,
    compared: Compared,
    rows: pl.DataFrame,
    answers: dict[str, dict[int, Answers]],
    scratch: Path,
) -> pl.DataFrame:
    """A row for each arm that is not an alias, seed and image; then the ensemble's and the reference model's."""
    labels = rows["label"].to_numpy()
    found: list[tuple[str, int | None, np.ndarray, np.ndarray | None, np.ndarray | None]] = []
    for arm in compared.kinds:
        if arm not in compared.aliases:
            by_seed = answers[compared.find_source(fold, arm)]
            found += [(arm, seed, one.correct, one.mirrored, one.confidence) for seed, one in by_seed.items()]
    own = answers[compared.find_source(fold, compared.baseline)].values()
    probabilities = np.stack([one.probabilities for one in own if one.probabilities is not None])
    found.append((ENSEMBLE, None, find_correct(average_probabilities(probabilities), labels), None, None))
    reference = read_reference(fold.results[BASELINES]["reference"], scratch)
    found.append((LOGGED, None, reference.correct, None, None))
    return pl.concat(
        pl.DataFrame(
            {
                "fold": pl.Series([fold.number], dtype=pl.Int64).new_from_index(0, len(rows)),
                "arm": pl.Series([arm]).new_from_index(0, len(rows)),
                "seed": pl.Series([seed], dtype=pl.Int64).new_from_index(0, len(rows)),
                "image_id": rows["image_id"],
                "label": rows["label"],
                "correct": correct,
                "mirrored": pl.Series(mirrored if mirrored is not None else [None] * len(rows), dtype=pl.Boolean),
                "confidence": pl.Series(confidence if confidence is not None else [None] * len(rows), dtype=pl.Float32),
            }
        )
        for arm, seed, correct, mirrored, confidence in found
    )


def _describe_fold(fold: TrainedFold, compared: Compared) -> dict[str, Any]:
    """A fold's entry in folds.json."""
    metrics = read_manifest(fold.folder("real_images"))["metrics"]
    shared = fold.results[BASELINES]
    entries = {}
    for arm in compared.kinds:
        entry = fold.find_entry(compared.find_source(fold, arm))
        assert entry is not None
        entries[arm] = {
            "validation": entry["validation"],
            "validation_per_class": entry["validation_per_class"],
            "steps": int(entry["setting"].get("steps", shared["steps"])),
        }
    return {
        "fold": fold.number,
        **({} if fold.refusal else describe_mode(fold.folder("generator_onnx"))),
        "images": {split: metrics[split] for split in ("train", "validation", "test")},
        "not_used": fold.refusal,
        **({LEFT_OUT: left_out} if (left_out := fold.left_out_by_controller) else {}),
        "generated": fold.count_accepted(),
        "generators": fold.results.get(EXPANDED, {}).get("generators", 1),
        "batch_size": shared["batch_size"],
        "reference": shared["reference"],
        "arms": entries,
    }
