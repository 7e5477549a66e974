"""Recall of the filters on planted faults, and their false alarms on real images.

Shares of faults are planted in Fashion-MNIST. In addition, disguised copies and contentless images are tried one kind
at a time, by the stage's own code and rules at their defaults: on Fashion-MNIST with 1,000 training images, with 200
and a hardly trained scorer, and on patches of photographs.

The carrier images are real and used for no fitting. They stand for the images of a perfect generator, so every alarm on
an image without a planted fault is a false alarm. No generator is trained. Thresholds come from held-out real images,
measured and calibrated as in the chain (`ops.filters.calibration`). `benchmarks.parts.planting` makes the faults.

Training, "test", held-out and carrier images are disjoint and all come from the file of training images; the file of
test images is not opened. The scorer is trained on the training images, as in a run of the chain. If cleanlab is
installed (`pip install -e .[bench]`), it looks for wrong labels too, on the same probabilities.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.parts.disguises import DISGUISES, TURNED, make_nothings
from benchmarks.parts.fashion import Division, LabelledImages, divide, read_fashion
from benchmarks.parts.harness import Row, use_cores, write_result
from benchmarks.parts.photographs import read_patches
from benchmarks.parts.planting import SHARES, Planted, plant
from ops.datasets.folds import assign_folds
from ops.filters.calibration import Thresholds, calibrate
from ops.filters.labels import score_labels
from ops.filters.looks import measure_looks
from ops.filters.rules import Limit, find_reasons, set_limits
from ops.filters.scores import ExternalNetworks, ScoreComputer, SeenImages
from ops.filters.typicality import ClassGaussians, fit_typicality, measure_typicality
from ops.judging.scorer import Scorer, load_scorer, save_scorer, train_folds
from ops.likeness.copies import References, fit_references, measure_copies, measure_nearness
from ops.recipe.classifiers import ScorerSettings
from ops.recipe.filtering import FilterSettings
from ops.statistics.proportions import estimate_share

TRAIN = TEST = HELD_OUT = 100  # images of each class
CARRIER = 1_000
ALARM = 0.01
SCORER_STEPS = 1_000
TRIED = 100  # real images of each class that disguises and nothings are tried beside
COPIED = 500  # images in each disguise
# The score that should find each fault; low scores are suspicious.
FINDS = {
    "exact_copy": "train_distance", "changed_copy": "train_distance", "test_image": "test_distance",
    "repeat": "repeat_distance", "blank": "structure", "wrong_label": "margin",
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Filters:
    """The filters fitted on the training images, and the test images in which leaks are searched."""

    scorer: Scorer
    typical: list[ClassGaussians]
    train: References
    test: References


def run(
    train: int = TRAIN, test: int = TEST, held_out: int = HELD_OUT, carrier: int = CARRIER, *,
    scorer_steps: int = SCORER_STEPS, seed: int = 0, whole: LabelledImages | None = None, small: bool = False,
) -> Path:  # fmt: skip
    """Plant, score, count; write results/faults.json. Sizes are images per class; `small` leaves disguises out."""
    whole = read_fashion() if whole is None else whole
    division = divide(whole, small=train, scored=test, held_out=held_out, seed=seed)
    carrying = take_first(division.unseen, carrier)
    with use_cores(1):
        filters, accuracy = fit_filters(division.small, division.scored, steps=scorer_steps, seed=seed)
        planted = plant(carrying, division.small, division.scored, classes=int(whole.labels.max()) + 1, seed=seed)
        real = shuffle(division.held_out, seed)
        real_scores, _, _ = measure_scores(filters, real.images, real.labels)
        scores, probabilities, seconds = measure_scores(filters, planted.images, planted.labels)
    classes = int(whole.labels.max()) + 1
    alarms = {
        name: calibrate(found, real.labels, classes, ALARM, "below").find_beyond(scores[name], planted.labels)
        for name, found in real_scores.items()
    }
    alarms["exact_copy"] = scores["exact_copy"] > 0
    rows = [Row("scorer: cross-fitted accuracy", round(accuracy, 4), "share")]
    rows += count_alarms(planted, alarms)
    rows += compare_labels(planted, probabilities, scores["margin"], alarms["margin"])
    rows += [
        Row(f"cost: {name}", round(1e6 * s / len(planted.labels), 1), "us/image, one core")
        for name, s in seconds.items()
    ]
    ratios: dict[str, float] = {}
    if not small:
        found, ratios = try_sources(division, seed)
        rows += found
    for row in rows:
        print(f"{row.name}: {row.value:g} {row.unit}", file=sys.stderr, flush=True)
    return write_result(
        "faults", rows, ratios, seed=seed, alarm=ALARM, shares=SHARES, scorer_steps=scorer_steps,
        images={"train": len(division.small), "test": len(division.scored), "held_out": len(real),
                "carrier": len(carrying)},
    )  # fmt: skip


def try_sources(division: Division, seed: int) -> tuple[list[Row], dict[str, float]]:
    """Disguised copies and contentless images ("nothings") on three sources; ratios are those of the first source."""
    fresh = take_first(division.unseen, TRIED)
    few, few_held_out = take_first(division.small, 20), take_first(division.held_out, 20)
    photographs = read_patches((60, 100, 150), seed)
    sources: dict[str, tuple[LabelledImages, LabelledImages, LabelledImages, int]] = {
        "fashion": (division.small, division.held_out, fresh, 300),
        "fashion, 200 images": (few, few_held_out, fresh, 10),
        "photographs": (photographs[0], photographs[1], photographs[2], 200),
    }
    rows: list[Row] = []
    ratios: dict[str, float] = {}
    for name, (train, held_out, unseen, steps) in sources.items():
        found, accuracy = try_everything(train, held_out, unseen, steps=steps, seed=seed)
        rows.append(Row(f"{name}: scorer's cross-fitted accuracy", round(accuracy, 4), "share"))
        rows += [Row(f"{name}: {kind}", round(value, 4), "share") for kind, value in found.items()]
        if not ratios:
            ratios["turned_copies_found"] = min(found[f"copies, {kind}: found"] for kind in TURNED)
            ratios["noise_found"] = min(
                found[f"{kind}: rejected"] for kind in ("noise, Gaussian", "noise, uniform", "blobs")
            )
    return rows, ratios


def try_everything(
    train: LabelledImages, held_out: LabelledImages, fresh: LabelledImages, *, steps: int, seed: int
) -> tuple[dict[str, float], float]:
    """Shares that the default rules find, by kind, and the scorer's accuracy; `fresh` are unseen real images."""
    scorer, accuracy = fit_scorer(train, steps=steps, seed=seed)
    folds, classes = assign_folds(train.labels, len(scorer.models), seed), int(train.labels.max()) + 1
    computer = ScoreComputer(scorer, train.images, train.labels, folds, held_out.images, ExternalNetworks())
    real = computer.compute_real(held_out.images, held_out.labels)
    limits = set_limits(real, held_out.labels, classes, FilterSettings())
    near = find_limits(limits)

    def judge(images: LabelledImages) -> dict[str, np.ndarray]:
        return find_reasons(computer.compute(images.images, images.labels, SeenImages()), images.labels, limits)

    def is_odd(found: dict[str, np.ndarray]) -> np.ndarray:
        return found["atypical"] | found["wrong_label"]

    rng = np.random.default_rng([seed, 79])
    unseen = judge(shuffle(fresh, seed))
    shares = {
        "real images: near copy of train": float(unseen["near_copy_of_train"].mean()),
        "real images: atypical": float(unseen["atypical"].mean()),
        "real images: wrong label": float(unseen["wrong_label"].mean()),
    }
    known = shuffle(train, seed)
    known = LabelledImages(known.images[:COPIED], known.labels[:COPIED])
    references = fit_references(train.images)
    for name, disguise in DISGUISES.items():
        copies = measure_copies(references, disguise(known.images, rng))
        shares[f"copies, {name}: found"] = float(near.find_beyond(copies.distance, known.labels).mean())
    some = shuffle(fresh, seed + 1)
    some = LabelledImages(some.images[:COPIED], some.labels[:COPIED])
    for name, nothings in make_nothings(train, some, rng).items():
        found = judge(nothings)
        shares[f"{name}: atypical"] = float(found["atypical"].mean())
        shares[f"{name}: rejected"] = float(is_odd(found).mean())
    return shares, accuracy


def find_limits(limits: list[Limit]) -> Thresholds:
    """The thresholds of the rule about near copies of training images."""
    return next(limit.thresholds for limit in limits if limit.rule.reason == "near_copy_of_train")


def take_first(images: LabelledImages, count: int) -> LabelledImages:
    """The first `count` images of each class."""
    rows = np.concatenate([np.flatnonzero(images.labels == label)[:count] for label in np.unique(images.labels)])
    return LabelledImages(images.images[torch.from_numpy(rows)], images.labels[rows])


def shuffle(images: LabelledImages, seed: int) -> LabelledImages:
    """The images in an order drawn with the seed; repeats depend on the order."""
    rows = np.random.default_rng([seed, 78]).permutation(len(images))
    return LabelledImages(images.images[torch.from_numpy(rows)], images.labels[rows])


def fit_filters(train: LabelledImages, test: LabelledImages, *, steps: int, seed: int) -> tuple[Filters, float]:
    """The fitted filters, and the scorer's accuracy on unseen images."""
    scorer, accuracy = fit_scorer(train, steps=steps, seed=seed)
    folds = assign_folds(train.labels, len(scorer.models), seed)
    typical = fit_typicality(scorer, train.images, train.labels, folds)
    filters = Filters(scorer, typical, fit_references(train.images), fit_references(test.images))
    return filters, accuracy


def fit_scorer(train: LabelledImages, *, steps: int, seed: int) -> tuple[Scorer, float]:
    settings, classes = ScorerSettings(steps=steps), int(train.labels.max()) + 1
    with tempfile.TemporaryDirectory() as name:
        results = train_folds(train.images.numpy(), train.labels, classes, settings, seed=seed, workers=1)
        found = save_scorer(Path(name), results, settings, train.labels, classes, train.images.shape[1])
        return load_scorer(Path(name)), found["cross_fitted_accuracy"]


def measure_scores(
    filters: Filters, images: torch.Tensor, labels: np.ndarray
) -> tuple[dict[str, np.ndarray], np.ndarray, dict[str, float]]:
    """Scores float [n] by name, low where suspicious; the probabilities [n, K]; the seconds that each took."""
    seconds: dict[str, float] = {}

    def clock(name: str, work: Callable[[], Any]) -> Any:
        started = time.perf_counter()
        result = work()
        seconds[name] = time.perf_counter() - started
        return result

    probabilities, features = clock("scorer", lambda: filters.scorer.examine(images))
    agreement = clock("labels", lambda: score_labels(probabilities, labels))
    typical = clock("typicality", lambda: measure_typicality(filters.typical, features, labels))
    looks = clock("looks", lambda: measure_looks(images))
    clock("copies of train alone", lambda: measure_copies(filters.train, images))
    clock("copies of train, and repeats", lambda: measure_nearness(images, labels, filters.train))
    copies, [leaks], repeats = clock(
        "copies of train and of test, and repeats",
        lambda: measure_nearness(images, labels, filters.train, [filters.test]),
    )
    scores = {
        "margin": agreement.margin, "probability": agreement.probability, "typicality": typical,
        "structure": looks.structure, "train_distance": copies.distance, "test_distance": leaks.distance,
        "repeat_distance": repeats.distance, "exact_copy": copies.exact.astype(np.float32),
    }  # fmt: skip
    return scores, probabilities, seconds


def count_alarms(planted: Planted, alarms: dict[str, np.ndarray]) -> list[Row]:
    """Recall of each fault by its filter, by any filter, the filter's precision, and its false alarms."""
    rows, clean = [], planted.fault == ""
    anything = np.any(list(alarms.values()), axis=0)
    for fault, score in FINDS.items():
        there, found = planted.fault == fault, alarms[score]
        rows.append(Row(f"{fault}: recall", share(found[there]), "share"))
        rows.append(Row(f"{fault}: recall, by any filter", share(anything[there]), "share"))
        for change in sorted(set(planted.change[there]) - {""}):
            rows.append(Row(f"{fault}, {change}: recall", share(found[there & (planted.change == change)]), "share"))
        if len(set(planted.change[there])) > 1 and "" in planted.change[there]:
            rows.append(Row(f"{fault}, unchanged: recall", share(found[there & (planted.change == "")]), "share"))
    for score, found in alarms.items():
        faults = [fault for fault, finder in FINDS.items() if finder == score] or [score]
        meant = np.isin(planted.fault, faults)
        alarms_there = estimate_share(int(found[clean].sum()), int(clean.sum()))
        rows.append(Row(f"{score}: precision, its own faults", share(meant[found]), "share"))
        rows.append(Row(f"{score}: precision, any fault", share(~clean[found]), "share"))
        rows.append(Row(f"{score}: false alarms", share(found[clean]), "share"))
        rows.append(Row(f"{score}: false alarms, 95 % interval, low", round(alarms_there.low, 4), "share"))
        rows.append(Row(f"{score}: false alarms, 95 % interval, high", round(alarms_there.high, 4), "share"))
    return rows


def compare_labels(planted: Planted, probabilities: np.ndarray, margin: np.ndarray, ours: np.ndarray) -> list[Row]:
    """Wrong labels found by cleanlab and by ours: ours at its threshold, and with as many flags as cleanlab.

    Blank images are left out because no label of theirs is right or wrong.
    """
    rows = np.flatnonzero(planted.fault != "blank")
    wrong = planted.fault[rows] == "wrong_label"
    found = {"ours at the threshold": ours[rows]}
    try:
        from cleanlab.filter import find_label_issues
    except ModuleNotFoundError as missing:
        if missing.name != "cleanlab":
            raise
        print("cleanlab is not installed: wrong labels are not compared", file=sys.stderr)
    else:
        flagged = find_label_issues(labels=planted.labels[rows], pred_probs=probabilities[rows])
        as_many = np.zeros(len(rows), bool)
        as_many[np.argsort(margin[rows], kind="stable")[: flagged.sum()]] = True
        found |= {"cleanlab": flagged, "ours, as many as cleanlab": as_many}
    return [
        row
        for name, flags in found.items()
        for row in (
            Row(f"wrong labels, {name}: recall", share(flags[wrong]), "share"),
            Row(f"wrong labels, {name}: precision", share(wrong[flags]), "share"),
            Row(f"wrong labels, {name}: flagged", int(flags.sum()), "images"),
        )
    ]


def share(flags: np.ndarray) -> float:
    """The share of true flags; 0 for an empty array."""
    return round(float(flags.mean()), 4) if len(flags) else 0.0
