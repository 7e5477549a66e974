"""A measured curve: its points and their errors on known answers, and fits of what chance might have shown."""

from __future__ import annotations

import json

import numpy as np
import pytest

from benchmarks.parts.label_curves import LAWS, Setting, simulate_curve
from ops.verdict.worth.curve import LabelCurve, fit_curve, measure_curve


def measure(
    answers: dict[float, np.ndarray], labels: np.ndarray, metric: str = "accuracy", units: np.ndarray | None = None
) -> LabelCurve:
    by_seed = {share: dict(enumerate(each)) for share, each in answers.items()}
    images = {share: round(100 * share) for share in answers}
    return measure_curve(by_seed, images, labels, metric, arm="a", picked="a", classes=2, units=units)


def test_points_are_means_over_seeds_and_images_that_all_know_move_them_together() -> None:
    labels = np.array([0, 0, 0, 1])
    answers = {1.0: np.array([[1, 1, 0, 1], [1, 1, 1, 1]], bool), 0.5: np.array([[1, 0, 0, 1], [1, 0, 0, 1]], bool)}
    curve = measure(answers, labels)
    assert [(point.share, point.images, point.score) for point in curve.points] == [(0.5, 50, 0.5), (1.0, 100, 0.875)]
    assert curve.points[1].per_seed == {"0": 0.75, "1": 1.0} and curve.freedom == 2
    means = np.array([[1, 0, 0, 1], [1, 1, 0.5, 1]])
    assert np.array(curve.covariance) == pytest.approx(np.cov(means) / 4)
    balanced = measure(answers, labels, "balanced_accuracy")
    assert [point.score for point in balanced.points] == pytest.approx([2 / 3, 11 / 12])
    assert curve.sizes == [25.0, 50.0] and not curve.is_enough


@pytest.mark.parametrize("metric", ["accuracy", "balanced_accuracy"])
def test_images_of_a_group_are_one_draw(metric: str) -> None:
    """Three copies of an image say as much as one. Of a single group nothing follows, so its images count singly."""
    rng, labels = np.random.default_rng(0), np.arange(40) % 2
    answers = {share: rng.random((3, 40)) < 0.5 + 0.4 * share for share in (0.25, 0.5, 1.0)}
    once = measure(answers, labels, metric)
    copied = {share: np.repeat(each, 3, axis=1) for share, each in answers.items()}
    again = measure(copied, np.repeat(labels, 3), metric, np.repeat(np.arange(40), 3))
    assert np.array(again.covariance) == pytest.approx(np.array(once.covariance), rel=1e-9)
    assert measure(answers, labels, metric, np.zeros(40, int)).covariance == once.covariance
    assert np.linalg.eigvalsh(measure(answers, labels, metric, labels).covariance).max() > 0.0, "a group for each class"


def test_errors_of_points_are_those_of_other_curves_of_the_same_law() -> None:
    """The variance of the score of all labels, over whole experiments, is what one of them says on average."""
    rng, setting = np.random.default_rng(0), Setting(images=300, spread=0.05)
    curves = [simulate_curve(LAWS["power"], setting, rng) for _ in range(300)]
    for place in (0, 3):
        scores = np.array([curve.points[place].score for curve in curves])
        said = [curve.covariance[place][place] + curve.points[place].seed_variance for curve in curves]
        assert scores.var(ddof=1) == pytest.approx(np.mean(said), rel=0.25)
    gaps = np.array([curve.points[3].score - curve.points[2].score for curve in curves])
    paired = [
        curve.covariance[3][3] + curve.covariance[2][2] - 2 * curve.covariance[2][3]
        + curve.points[2].seed_variance + curve.points[3].seed_variance
        for curve in curves
    ]  # fmt: skip
    assert gaps.var(ddof=1) == pytest.approx(np.mean(paired), rel=0.25)


def test_answers_that_are_all_alike_keep_the_error_of_one_image() -> None:
    labels = np.zeros(10, int)
    curve = measure({share: np.ones((2, 10), bool) for share in (0.25, 0.5, 1.0)}, labels)
    assert [point.seed_variance for point in curve.points] == pytest.approx([0.01] * 3)
    fit = fit_curve(curve, 100, np.random.default_rng(0))
    assert fit.free.slope[0] == 0.0 and len(fit.free.slope) == 101 and np.ptp(fit.free.errors) > 0.0


def test_a_curve_is_the_same_after_json() -> None:
    curve = simulate_curve(LAWS["power"], Setting(images=50), np.random.default_rng(0))
    assert LabelCurve.from_dict(json.loads(json.dumps(curve.to_dict()))) == curve


def test_errors_are_enlarged_where_no_law_fits_and_rarely_where_one_does() -> None:
    rng = np.random.default_rng(0)
    curves = [simulate_curve(LAWS["power"], Setting(), rng) for _ in range(40)]
    assert np.mean([fit_curve(curve, 1, rng).enlarged > 1.0 for curve in curves]) < 0.2
    sharp = Setting(images=10_000, spread=0.002)
    assert fit_curve(simulate_curve(LAWS["arc tangent"], sharp, rng), 1, rng).enlarged > 2.0
