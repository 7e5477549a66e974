"""Choose which features a probe reads, and which probe: block, share of noise and method with the best answers.

Choices are judged on validation; where validation is small, by cross-fitting on training and validation images
together, as everywhere in Growset (`ops.datasets.folds`). Every trial is kept with its standard error, so that a reader
sees how near the others come: the best of many is a little lucky, and its score a little high. Test images and images
without labels have no part in it. The module does not know what computes features.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ops.datasets.folds import divide_for_choices
from ops.labelling.probes import PROBES, Probe, answer

FOLDS = 5
MOST_IMAGES = 2_000  # of training images that a trial learns from

Describe = Callable[[float, np.ndarray], Mapping[str, np.ndarray]]
"""Features float32 [k, F] of each block at a share of noise, of rows int [k] of training, then validation images"""


@dataclass(frozen=True)
class Trial:
    """One block, share of noise and probe, judged by the images that it did not learn from.

    score : balanced accuracy, in 0..1. error : its standard error over images.
    """

    block: str
    noise: float
    probe: Probe
    score: float
    error: float

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON, rounded to what can be read."""
        found = {"block": self.block, "noise": self.noise, **asdict(self.probe)}
        return {**found, "score": round(self.score, 5), "error": round(self.error, 5)}


@dataclass(frozen=True)
class Choice:
    """The best trial, all of them in order, and the images that judged them."""

    best: Trial
    trials: tuple[Trial, ...]
    judge: str
    images: int

    def to_dict(self) -> dict[str, Any]:
        return {
            "judge": self.judge,
            "images": self.images,
            "chosen": self.best.to_dict(),
            "trials": [trial.to_dict() for trial in self.trials],
        }


def check_labelled(images: int) -> None:
    """ValueError where so many labelled training images are too few to choose a probe by."""
    if images < FOLDS:
        raise ValueError(
            f"pseudo_labels needs at least {FOLDS} labelled training images, one for each fold in which a probe is"
            f" chosen; there {'is' if images == 1 else 'are'} {images}"
        )


def choose_probe(
    describe: Describe,
    noises: Iterable[float],
    train: np.ndarray,
    validation: np.ndarray,
    *,
    classes: int,
    seed: int,
    units: np.ndarray | None = None,
    probes: Sequence[Probe] = PROBES,
    sink: Callable[[str], None] = lambda line: None,
) -> Choice:
    """The trial of the highest balanced accuracy; of equal ones the first, in the order of noises, blocks and probes.

    train, validation : labels int [n] and [m] in [0, classes). units : int [n + m]; images of one unit stay in one
    fold. sink : gets a line for each share of noise. Equal arguments give an equal choice.

    Raises ValueError as `check_labelled`.
    """
    check_labelled(len(train))
    rng = np.random.default_rng([seed, FOLDS])
    kept = np.sort(rng.permutation(len(train))[:MOST_IMAGES])
    kept = np.concatenate([kept, len(train) + np.arange(len(validation))])
    labels = np.concatenate([train, validation])[kept]
    known = len(kept) - len(validation)
    folds = divide_for_choices(labels[:known], validation, FOLDS, rng, None if units is None else units[kept])
    trials: list[Trial] = []
    for noise in noises:
        found = []
        for block, values in describe(noise, kept).items():
            for probe in probes:
                correct = answer_folds(probe, values, labels, folds, classes)
                found.append(Trial(block, noise, probe, *measure(correct, labels[folds >= 0])))
        sink(f"probe: {describe_trial(find_best(found))}")
        trials += found
    judge = "validation" if folds[0] < 0 else "cross-fitting"
    return Choice(find_best(trials), tuple(trials), judge, int((folds >= 0).sum()))


def find_best(trials: Sequence[Trial]) -> Trial:
    """The first of those with the highest score."""
    return max(trials, key=lambda trial: trial.score)


def answer_folds(probe: Probe, values: np.ndarray, labels: np.ndarray, folds: np.ndarray, classes: int) -> np.ndarray:
    """Whether each image of a fold is named rightly by a probe that learnt from all others, bool [images of folds].

    values : float32 [n, F]. folds : int [n]; images of fold -1 are only learnt from.
    """
    right = np.zeros(len(labels), bool)
    for fold in range(int(folds.max()) + 1):
        held = folds == fold
        if held.any():
            probabilities = answer(probe, values[~held], labels[~held], values[held], classes)
            right[held] = probabilities.argmax(axis=1) == labels[held]
    return right[folds >= 0]


def measure(correct: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    """Balanced accuracy of answers bool [n] about images with labels int [n], and its standard error over images.

    The error is that of a mean over classes of binomial shares: sqrt(Σ p_c (1 - p_c) / n_c) / K, with K classes that
    have images.
    """
    shares, variances = [], []
    for label in np.unique(labels):
        share, images = float(correct[labels == label].mean()), int((labels == label).sum())
        shares.append(share)
        variances.append(share * (1 - share) / images)
    return float(np.mean(shares)), float(np.sqrt(np.sum(variances)) / len(shares))


def describe_trial(trial: Trial) -> str:
    """`block up1 at noise 0.1, linear: 81.2 ± 1.4 %`."""
    probe = f"{trial.probe.method}" + ("" if trial.probe.strength is None else f" {trial.probe.strength:g}")
    return f"block {trial.block} at noise {trial.noise:g}, {probe}: {100 * trial.score:.1f} ± {100 * trial.error:.1f} %"
