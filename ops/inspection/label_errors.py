"""Find labels that are probably wrong, by a cheap classifier that did not see the image.

Confident learning (Northcutt, Jiang & Chuang, "Confident Learning: Estimating Uncertainty in Dataset Labels", JAIR
2021): t_j is the mean probability of class j among the images labelled j. An image is counted in the class j with the
largest p_j >= t_j. It is a suspect if that is not its label's class and its label has a small probability as well: hard
but correctly labelled images rarely have such a small one. A second fit leaves out the suspects of the first one.

Symbols: p the cross-fitted probabilities [n, K], y the labels, t the thresholds.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np

from ops.datasets.folds import divide_into_folds
from ops.filters.labels import Skill, measure_skill

FOLDS, REPEATS = 5, 3
MANY = 4_000  # images from which one division into folds is enough
STRENGTHS = (0.01, 0.1, 1.0)  # C of the logistic regression, from strong to weak regularisation
ROUNDS = 200  # of L-BFGS
LEAST_OF_CLASS = 3  # images of a class, so that every fold learns from two of them
MOST_OWN, LEAST_OTHER = 0.03, 0.5  # probabilities of a suspect's label and of the suggested one
LEAST_SKILL = 0.4  # of the way from chance to perfect accuracy; a weaker classifier is wrong more often than labels are


@dataclass(frozen=True, eq=False)
class LabelErrors:
    """rows: int [m], suspects, the most certain first. suggested: int [m], the likelier label. own, other: float [m],
    cross-fitted probabilities of the label and of the suggested one. skill: None where nothing could be learnt from;
    a classifier of little skill names no suspects. judged: whether it had enough."""

    rows: np.ndarray
    suggested: np.ndarray
    own: np.ndarray
    other: np.ndarray
    skill: Skill | None

    @property
    def judged(self) -> bool:
        """Whether the classifier was good enough to judge labels."""
        return self.skill is not None and has_skill(self.skill)


def has_skill(skill: Skill) -> bool:
    """Whether accuracy is at least LEAST_SKILL of the way from chance to 1."""
    return skill.accuracy - skill.chance >= LEAST_SKILL * (1 - skill.chance)


def find_label_errors(
    features: np.ndarray, labels: np.ndarray, units: np.ndarray | None = None, *, seed: int = 0
) -> LabelErrors:
    """Suspects among images with features [n, F] and labels int [n]. Equal arguments give equal suspects.

    units: int [n]; images of one unit are judged by a classifier that saw none of them. None: each is its own.
    """
    none = np.empty(0, np.int64)
    found, counts = np.unique(labels, return_counts=True)
    judged = np.flatnonzero(np.isin(labels, found[counts >= LEAST_OF_CLASS]))
    classes = np.unique(labels[judged])
    if len(classes) < 2:
        return LabelErrors(none, none, none.astype(float), none.astype(float), None)
    values, y = features[judged], np.searchsorted(classes, labels[judged])
    together = None if units is None else units[judged]
    strength = _choose_strength(values, y, together, seed)
    learnt = np.ones(len(y), bool)
    probabilities = cross_fit(values, y, learnt, strength, together, seed=seed)
    skill = measure_skill(probabilities.argmax(axis=1), y, len(classes))
    assert skill is not None
    if not has_skill(skill):
        return LabelErrors(none, none, none.astype(float), none.astype(float), skill)
    learnt[find_suspects(probabilities, y)[0]] = False
    if _is_learnable(y, learnt, together, seed + 1):
        probabilities = cross_fit(values, y, learnt, strength, together, seed=seed + 1)
    rows, suggested = find_suspects(probabilities, y)
    own, other = probabilities[rows, y[rows]], probabilities[rows, suggested]
    order = np.argsort((own + 1e-9) / other, kind="stable")
    return LabelErrors(judged[rows][order], classes[suggested][order], own[order], other[order], skill)


def _is_learnable(labels: np.ndarray, learnt: np.ndarray, units: np.ndarray | None, seed: int) -> bool:
    """Whether `cross_fit` finds enough images of each class in all, and one or more where it learns for a fold."""
    if any(learnt[labels == label].sum() < LEAST_OF_CLASS for label in range(labels.max() + 1)):
        return False
    divisions = _divide(labels, units, seed)
    return all(
        len(np.unique(labels[(folds != fold) & learnt])) == labels.max() + 1
        for folds in divisions
        for fold in np.unique(folds)
    )


def _divide(labels: np.ndarray, units: np.ndarray | None, seed: int) -> list[np.ndarray]:
    """The divisions into folds that `cross_fit` averages over, int [n] each."""
    rng, repeats = np.random.default_rng(seed), 1 if len(labels) > MANY else REPEATS
    return [divide_into_folds(labels, FOLDS, rng, units) for _ in range(repeats)]


def find_suspects(probabilities: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows int [m] whose label is probably wrong, and the likelier label of each.

    probabilities: float [n, K], cross-fitted; labels: int [n], every class at least once.
    """
    confident = count_confidently(probabilities, labels)
    everyone = np.arange(len(labels))
    own, other = probabilities[everyone, labels], probabilities[everyone, confident]
    is_suspect = (confident >= 0) & (confident != labels) & (own <= MOST_OWN) & (other >= LEAST_OTHER)
    rows = np.flatnonzero(is_suspect)
    return rows, confident[rows]


def count_confidently(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The class int [n] that each image counts as, argmax of p_j over {j: p_j >= t_j}; -1 for none."""
    classes = probabilities.shape[1]
    thresholds = np.array([probabilities[labels == label, label].mean() for label in range(classes)])
    reached = probabilities >= thresholds
    return np.where(reached.any(axis=1), np.where(reached, probabilities, -1.0).argmax(axis=1), -1)


def cross_fit(
    values: np.ndarray,
    labels: np.ndarray,
    learnt: np.ndarray,
    strength: float,
    units: np.ndarray | None = None,
    *,
    seed: int,
) -> np.ndarray:
    """p: float [n, K] of images [n, F], each by classifiers that did not see it, averaged over divisions into folds.

    `learnt` bool [n] names the images that are learnt from. `units` int [n] stay in one fold.
    """
    total, divisions = np.zeros((len(labels), labels.max() + 1)), _divide(labels, units, seed)
    for folds in divisions:
        total += _answer_folds(values, labels, learnt, folds, strength)
    return total / len(divisions)


def _choose_strength(values: np.ndarray, labels: np.ndarray, units: np.ndarray | None, seed: int) -> float:
    """The strength with the least cross-fitted log loss."""
    folds = divide_into_folds(labels, FOLDS, np.random.default_rng(seed), units)
    everyone, rows = np.ones(len(labels), bool), np.arange(len(labels))

    def measure_loss(strength: float) -> float:
        probabilities = _answer_folds(values, labels, everyone, folds, strength)
        return float(-np.log(np.maximum(probabilities[rows, labels], 1e-9)).mean())

    return min(STRENGTHS, key=measure_loss)


def _answer_folds(
    values: np.ndarray, labels: np.ndarray, learnt: np.ndarray, folds: np.ndarray, strength: float
) -> np.ndarray:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    probabilities = np.zeros((len(labels), labels.max() + 1))
    for fold in np.unique(folds):
        chosen, held = (folds != fold) & learnt, np.flatnonzero(folds == fold)
        regression = LogisticRegression(C=strength, max_iter=ROUNDS)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # what ROUNDS lacks is regularisation too
            regression.fit(values[chosen], labels[chosen])
        probabilities[np.ix_(held, regression.classes_)] = regression.predict_proba(values[held])
    return probabilities
