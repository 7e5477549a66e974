"""What a study measures of a classifier on its evaluation images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from math import isfinite

import numpy as np

from ops.datasets.corruptions import CORRUPTIONS
from ops.metrics.invariance import Invariance
from ops.study.attacks import EPSILON, ITERATIONS, Asked, score_attacked
from ops.study.controlled import Decided
from ops.study.corrupted import Corrupted
from ops.study.invariance import Nuisanced
from ops.study.label_free import Encoder
from ops.study.measure_names import DECIDED, LABEL_FREE
from ops.study.training_images import TrainingImages
from ops.verdict.calibration import find_calibration_error
from ops.verdict.classes import divide_by_size
from ops.verdict.metric import score_answers

RARE = 20  # training images that a rare class has at most


@dataclass(frozen=True, eq=False)
class Answers:
    """The answers of one network, or the mean of several: probabilities float64 [n, K]; labels int64 [n].

    train_counts: real training images of each class. asked: the networks and the images, for measures that ask anew.
    nuisanced: images without and with the nuisance, for measures of invariance. refused: classes for which the gate of
    variants refused the generator; None for a network that learnt from no variants of a generator. corrupted: images
    with corruptions. learnt_from: training images. validation: the accuracy on validation images, and decided: what the
    controller chose for the arm; encoder: a network that learnt without labels. None of the last three for several
    networks together.
    """

    probabilities: np.ndarray
    labels: np.ndarray
    train_counts: Sequence[int]
    asked: Asked | None = None
    nuisanced: Nuisanced | None = None
    refused: int | None = None
    corrupted: Corrupted | None = None
    learnt_from: TrainingImages | None = None
    validation: float | None = None
    decided: Decided | None = None
    encoder: Encoder | None = None

    @property
    def correct(self) -> np.ndarray:
        """Whether each image is named rightly, bool [n]."""
        return np.asarray(self.probabilities.argmax(axis=1) == self.labels)

    @cached_property
    def invariance(self) -> Invariance:
        """How much the nuisance changes the answers. ValueError for answers without their networks or a nuisance."""
        if self.asked is None or self.nuisanced is None:
            raise ValueError("invariance needs the networks that gave the answers, and images with a nuisance")
        return self.nuisanced.measure(self.asked.networks, self.asked.device)

    @cached_property
    def under_corruption(self) -> dict[str, float]:
        """The accuracy under each corruption. ValueError for answers without their networks or corrupted images."""
        if self.asked is None or self.corrupted is None:
            raise ValueError("corruptions need the networks that gave the answers, and corrupted images")
        return self.corrupted.measure(self.asked.networks, self.asked.precision, self.asked.device)

    @cached_property
    def in_training(self) -> tuple[float, float]:
        """The accuracy on the training set and on its real images. ValueError for answers without networks or set."""
        if self.asked is None or self.learnt_from is None:
            raise ValueError("a gap needs the networks that gave the answers, and their training images")
        return self.learnt_from.measure(self.asked.networks, self.asked.precision, self.asked.device)


def score_group(answers: Answers, group: str) -> float | None:
    """Balanced accuracy over the classes of head, middle or tail; None where the classes are about equally large."""
    classes = divide_by_size(answers.train_counts).get(group)
    if classes is None:
        return None
    rows = np.isin(answers.labels, classes)
    return float(score_answers(answers.correct[rows], answers.labels[rows], "balanced_accuracy"))


def measure_gap(answers: Answers, *, on_real: bool) -> float:
    """The accuracy on training images minus that on evaluation images; on_real: on real training images alone."""
    return answers.in_training[on_real] - float(score_answers(answers.correct, answers.labels, "accuracy"))


def measure_calibration(answers: Answers) -> float:
    """The expected calibration error, in 0..1."""
    return find_calibration_error(answers.probabilities.max(axis=1)[None], answers.correct[None])


def measure_attacked(answers: Answers, iterations: int) -> float:
    """The accuracy under an attack. ValueError for answers without their networks."""
    if answers.asked is None:
        raise ValueError("an attack needs the networks that gave the answers")
    return score_attacked(answers.asked, iterations)


def average_corrupted(answers: Answers) -> float:
    """The mean accuracy over all corruptions and severities."""
    return float(np.mean(list(answers.under_corruption.values())))


def _find_corrupted(kind: str, answers: Answers) -> float:
    return answers.under_corruption[kind]


def average_ekld(answers: Answers, classes: Sequence[int]) -> float | None:
    """The mean eKLD of some classes, in nats; None for no class."""
    found = answers.invariance
    return float(found.ekld.values[np.isin(found.classes, classes)].mean()) if classes else None


def list_rare(counts: Sequence[int]) -> list[int]:
    """The classes that have at most RARE training images."""
    return [c for c, count in enumerate(counts) if count <= RARE]


def correlate_with_size(answers: Answers) -> float | None:
    """Spearman's rank correlation of the classes' training images and their eKLD, in -1..1; ties share their rank.

    None for fewer than three classes, and where all are equally large or have the same eKLD.
    """
    from scipy.stats import spearmanr  # takes half a second

    found = answers.invariance
    sizes = np.asarray(answers.train_counts)[found.classes]
    if len(sizes) < 3 or min(len(np.unique(sizes)), len(np.unique(found.ekld.values))) < 2:
        return None
    return float(spearmanr(sizes, found.ekld.values).statistic)


@dataclass(frozen=True)
class Measure:
    """A measure, and how it is written.

    find: its value; None where it has no meaning. scale: it is shown times this, with so many `digits` after the point.
    lower_is_better: None where neither a lower nor a higher value is. unit: of what is shown. step: of a difference.
    is_compared: whether differences between arms are shown.
    """

    find: Callable[[Answers], float | None]
    scale: float = 100.0
    lower_is_better: bool | None = False
    digits: int = 1
    unit: str = "%"
    step: str = "points"
    is_compared: bool = True


def _in_nats(find: Callable[[Answers], float | None]) -> Measure:
    return Measure(find, 1.0, lower_is_better=True, digits=3, unit="nats", step="nats")


def _find_decided(name: str, answers: Answers) -> float | None:
    found = None if answers.decided is None else getattr(answers.decided, name)
    return None if found is None else float(found)


def _find_label_free(name: str, answers: Answers) -> float | None:
    return None if answers.encoder is None else getattr(answers.encoder.scores, name)


def _find_error(answers: Answers) -> float | None:
    error = answers.invariance.ekld.error
    return error if isfinite(error) else None  # a class with one image


MEASURES: dict[str, Measure] = {
    "accuracy": Measure(lambda answers: float(score_answers(answers.correct, answers.labels, "accuracy"))),
    "balanced_accuracy": Measure(
        lambda answers: float(score_answers(answers.correct, answers.labels, "balanced_accuracy"))
    ),
    "worst_class": Measure(lambda answers: float(score_answers(answers.correct, answers.labels, "worst_class"))),
    "head": Measure(lambda answers: score_group(answers, "head")),
    "middle": Measure(lambda answers: score_group(answers, "middle")),
    "tail": Measure(lambda answers: score_group(answers, "tail")),
    "calibration_error": Measure(measure_calibration, lower_is_better=True),
    "fgsm": Measure(lambda answers: measure_attacked(answers, 1)),
    "ifgsm": Measure(lambda answers: measure_attacked(answers, ITERATIONS)),
    "corrupted": Measure(average_corrupted),
    **{f"corrupted_{kind}": Measure(partial(_find_corrupted, kind)) for kind in CORRUPTIONS},
    "training_accuracy": Measure(lambda answers: answers.in_training[0], lower_is_better=None, is_compared=False),
    "gap": Measure(partial(measure_gap, on_real=False), lower_is_better=None),
    "real_gap": Measure(partial(measure_gap, on_real=True), lower_is_better=None),
    "refused": Measure(lambda answers: answers.refused, 1.0, None, unit="classes", step="", is_compared=False),
    "ekld": _in_nats(lambda answers: answers.invariance.ekld.mean),
    "ekld_error": replace(_in_nats(_find_error), lower_is_better=None, is_compared=False),
    "ekld_head": _in_nats(lambda answers: average_ekld(answers, divide_by_size(answers.train_counts).get("head", []))),
    "ekld_rare": _in_nats(lambda answers: average_ekld(answers, list_rare(answers.train_counts))),
    "agreement": Measure(lambda answers: answers.invariance.agreement.mean),
    "size_correlation": Measure(correlate_with_size, 1.0, None, digits=2, unit="", step=""),
    **{
        name: Measure(partial(_find_label_free, name), 1.0, None, digits=3, unit="", step="", is_compared=False)
        for name in LABEL_FREE
    },
    "validation": Measure(lambda answers: answers.validation, is_compared=False),
    **{
        name: Measure(
            partial(_find_decided, name.removeprefix("chosen_")),
            1.0,
            None,
            digits=2,
            unit="",
            step="",
            is_compared=False,
        )
        for name in DECIDED[1:]
    },
}
_NAMES = {  # of those that are not simply their key
    "fgsm": f"accuracy under FGSM, ε = {255 * EPSILON:.0f}/255",
    "ifgsm": f"accuracy under I-FGSM of {ITERATIONS} steps, ε = {255 * EPSILON:.0f}/255",
    "corrupted": "accuracy under all corruptions",
    **{f"corrupted_{kind}": f"accuracy under {kind.replace('_', ' ')}" for kind in CORRUPTIONS},
    "training_accuracy": "accuracy on the training set",
    "gap": "gap: accuracy on the training set minus that on evaluation images",
    "real_gap": "gap on real images: accuracy on the real training images minus that on evaluation images",
    "refused": "number of classes that the gate refused",
    "ekld": "eKLD",
    "ekld_error": "standard error of eKLD",
    "ekld_head": "eKLD of head classes",
    "ekld_rare": f"eKLD of classes with at most {RARE} images",
    "agreement": "agreement under the nuisance",
    "size_correlation": "rank correlation of class size and eKLD",
    "relative_confusion": "average relative confusion (ARC)",
}


def name_measure(measure: str) -> str:
    """Its name in sentences: `balanced accuracy`."""
    return _NAMES.get(measure, measure.replace("_", " "))
