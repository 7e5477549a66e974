"""Fit the reference model: logistic regression, with its features and its regularisation chosen without test images.

Candidates are judged on validation; where validation is small, by cross-fitting on training and validation images
together, since few images would choose by chance. The final model learns from the training images alone, as the arms
do. Large training sets are thinned, so that fitting takes seconds.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from ops.classifiers.reference.features import BLOCKS, FEATURES, describe_block
from ops.classifiers.reference.model import NO_OTHERS, Describe, Reference
from ops.datasets.folds import divide_for_choices
from ops.recipe.design import Metric
from ops.verdict.metric import score_answers

if TYPE_CHECKING:
    from sklearn.linear_model import LogisticRegression

FOLDS = 5
MOST_IMAGES, LEAST_OF_CLASS = 5_000, 20  # of training images that are learnt from
STRENGTHS = (0.1, 1.0, 10.0, 100.0, 1_000.0)  # C times the number of features, from strong to weak regularisation
PATIENCE = 2  # weaker regularisations that may be worse before the rest is left out
SMALLEST_SCALE = 0.01  # a feature that hardly varies in training is not blown up
ROUNDS, TOLERANCE = 200, 1e-3  # of L-BFGS; stopping early regularises too, and validation judges the result

Labelled = tuple[np.ndarray, np.ndarray]
Judge = Literal["validation", "cross-fitting"]


@dataclass(frozen=True)
class Choice:
    """What was chosen, and how.

    scores: the best of each kind of features, by its name, in the given metric on the images of `judge`.
    """

    features: str
    strength: float
    judge: Judge
    scores: Mapping[str, float]


@dataclass(frozen=True, eq=False)
class Fit:
    """validation: the fitted model's score on validation in the given metric. images: training images that it used."""

    model: Reference
    choice: Choice
    validation: float
    images: int


def fit_reference(
    train: Labelled,
    validation: Labelled,
    *,
    classes: int,
    metric: Metric,
    seed: int,
    units: np.ndarray | None = None,
    others: Mapping[str, Describe] = NO_OTHERS,
) -> Fit:
    """The reference model of images uint8 [n, H, W, C] with labels int [n] in [0, classes).

    Classes weigh alike in training unless `metric` is accuracy. `seed` draws folds and the images of a large set. At
    least two classes have training images. units: int [n + m], of training and validation images; images of one unit
    stay in one fold. others: computes further features, by name, that compete with those of FEATURES.
    """
    rng = np.random.default_rng(seed)
    kept = thin(train[1], rng)
    if units is not None:
        units = np.concatenate([units[: len(train[1])][kept], units[len(train[1]) :]])
    train = train[0][kept], train[1][kept]
    labels = np.concatenate([train[1], validation[1]])
    folds = divide_for_choices(train[1], validation[1], FOLDS, rng, units)
    both = train[0], validation[0]
    blocks = {name: np.concatenate([describe_block(name, images) for images in both]) for name in BLOCKS}
    described = {name: np.concatenate([blocks[block] for block in parts], axis=1) for name, parts in FEATURES.items()}
    described |= {name: np.concatenate([compute(images) for images in both]) for name, compute in others.items()}
    judge: Judge = "validation" if folds[0] < 0 else "cross-fitting"
    best = {
        name: max((found, strength) for strength, found in _judge_strengths(values, labels, folds, classes, metric))
        for name, values in described.items()
    }
    name = max(best, key=lambda each: (best[each][0], each))
    choice = Choice(name, best[name][1], judge, {each: found[0] for each, (found, _) in best.items()})
    values = described[choice.features]
    mean, scale = measure_scale(values[: len(train[1])])
    regression = build_regression(choice.strength, values.shape[1], metric)
    fit_regression(regression, (values[: len(train[1])] - mean) / scale, train[1])
    model = Reference(choice.features, mean, scale, *read_weights(regression, classes))
    correct = model.answer(validation[0], others) == validation[1]
    return Fit(model, choice, float(score_answers(correct, validation[1], metric)), len(train[1]))


def thin(labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Places int [m] of the images that are learnt from, in order: all, or a share of each class but not too few."""
    if len(labels) <= MOST_IMAGES:
        return np.arange(len(labels))
    found, counts = np.unique(labels, return_counts=True)
    least = min(LEAST_OF_CLASS, MOST_IMAGES // len(found))
    kept = np.maximum(counts * MOST_IMAGES // len(labels), least)
    places = [
        rng.permutation(np.flatnonzero(labels == label))[:number] for label, number in zip(found, kept, strict=True)
    ]
    return np.sort(np.concatenate(places))


def measure_scale(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation float32 [F] of features float32 [n, F]."""
    mean, scale = (found.astype(np.float32) for found in (values.mean(axis=0), values.std(axis=0)))
    return mean, np.maximum(scale, np.float32(SMALLEST_SCALE))


def read_weights(regression: LogisticRegression, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Coefficients float32 [K, F] and intercepts float32 [K] of a score per class; its softmax is the probability."""
    coefficients, intercepts = regression.coef_, regression.intercept_
    if len(regression.classes_) == 2:  # scikit-learn keeps the second class's score alone; the first one's is 0
        coefficients = np.concatenate([np.zeros_like(coefficients), coefficients])
        intercepts = np.concatenate([np.zeros_like(intercepts), intercepts])
    all_coefficients = np.zeros((classes, coefficients.shape[1]), np.float32)
    all_intercepts = np.full(classes, -np.inf, np.float32)
    all_coefficients[regression.classes_], all_intercepts[regression.classes_] = coefficients, intercepts
    return all_coefficients, all_intercepts


def _judge_strengths(
    values: np.ndarray, labels: np.ndarray, folds: np.ndarray, classes: int, metric: Metric
) -> Iterator[tuple[float, tuple[float, float]]]:
    """Each strength with its score on the images of all folds and, for ties, the negative of its log loss there."""
    asked = folds >= 0
    parts = []
    for fold in range(folds.max() + 1):
        learnt, held = folds != fold, folds == fold
        mean, scale = measure_scale(values[learnt])
        regression = build_regression(STRENGTHS[0], values.shape[1], metric)
        parts.append((regression, (values[learnt] - mean) / scale, labels[learnt], (values[held] - mean) / scale, held))
    best, worse = (-np.inf, -np.inf), 0
    for strength in STRENGTHS:
        probabilities = np.zeros((len(labels), classes))
        for regression, learnt_values, learnt_labels, held_values, held in parts:
            if (learnt_labels == learnt_labels[0]).all():  # the only image of the other class is held out
                probabilities[held, learnt_labels[0]] = 1.0
                continue
            regression.set_params(C=strength / values.shape[1])
            fit_regression(regression, learnt_values, learnt_labels)
            probabilities[np.ix_(held, regression.classes_)] = regression.predict_proba(held_values)
        quality = judge(probabilities[asked], labels[asked], metric)
        yield strength, quality
        best, worse = (quality, 0) if quality > best else (best, worse + 1)
        if worse == PATIENCE:
            return


def judge(probabilities: np.ndarray, labels: np.ndarray, metric: Metric) -> tuple[float, float]:
    """How good probabilities [n, K] are: the score in the metric and, for ties, the negative of the log loss."""
    # The worst class of few images is mostly chance: classes that weigh alike choose instead.
    mean: Metric = "accuracy" if metric == "accuracy" else "balanced_accuracy"
    losses = -np.log(np.maximum(probabilities[np.arange(len(labels)), labels], 1e-9))
    return (
        float(score_answers(probabilities.argmax(axis=1) == labels, labels, mean)),
        -float(score_answers(losses, labels, mean)),
    )


def build_regression(strength: float, features: int, metric: Metric) -> LogisticRegression:
    """A regression that goes on from its last fit. Standardised features are many: C counts for each of them."""
    from sklearn.linear_model import LogisticRegression

    weight = None if metric == "accuracy" else "balanced"
    return LogisticRegression(
        C=strength / features, class_weight=weight, max_iter=ROUNDS, tol=TOLERANCE, warm_start=True
    )


def fit_regression(regression: LogisticRegression, values: np.ndarray, labels: np.ndarray) -> None:
    """Fit it in place to standardised features [n, F] and labels int [n]."""
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # see ROUNDS
        regression.fit(values, labels)
