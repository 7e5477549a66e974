"""What the same compute buys, against closed forms and by hand."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
import pytest
from scipy.stats import t

from ops.verdict.comparison import Comparison
from ops.verdict.same_compute import Row, average_probabilities, compare_same_compute, find_lowest, name_way

RNG = np.random.default_rng(5)
LABELS = RNG.integers(0, 3, 400)
BASELINE, CHALLENGER, MIRRORED = (RNG.random((5, 400)) < share for share in (0.7, 0.75, 0.72))
ENSEMBLE = BASELINE.sum(axis=0) > 2


def compare(metric: str = "accuracy", **changes: object) -> list[Row]:
    return compare_same_compute(
        BASELINE, CHALLENGER, ENSEMBLE, {"mixup": MIRRORED}, LABELS, baseline="mixup", challenger="grown",
        **{"metric": metric, "confidence": 0.9} | changes,
    )  # type: ignore[arg-type]  # fmt: skip


def test_an_ensemble_averages_probabilities_and_not_votes() -> None:
    each = np.array([[[0.9, 0.1]], [[0.45, 0.55]], [[0.45, 0.55]]])
    assert average_probabilities(each).argmax(axis=1).tolist() == [0]
    np.testing.assert_allclose(average_probabilities(each), [[0.6, 0.4]])


def test_an_ensemble_is_one_network_whose_interval_is_about_images_alone() -> None:
    row = compare()[0]
    share, n = ENSEMBLE.mean(), len(ENSEMBLE)
    error = np.sqrt(share * (1 - share) / (n - 1))
    reach = t.ppf(0.95, n - 1) * error
    assert (row.way, row.arm, row.passes) == ("ensemble", "mixup", 5)
    assert (row.score.estimate, row.score.standard_error) == pytest.approx((share, error))
    assert (row.score.low, row.score.high) == pytest.approx((share - reach, share + reach))


def test_differences_are_from_the_two_arms_that_met() -> None:
    ensemble, mirrored = compare()
    for row, answers in ((ensemble, ENSEMBLE), (mirrored, MIRRORED)):
        assert row.over_baseline.estimate == pytest.approx(answers.mean() - BASELINE.mean())
        assert row.over_challenger.estimate == pytest.approx(answers.mean() - CHALLENGER.mean())
        assert row.over_baseline.low < row.over_baseline.estimate < row.over_baseline.high
    assert (mirrored.way, mirrored.arm, mirrored.passes) == ("mirrored", "mixup", 2)
    alone = Comparison({"a": MIRRORED, "b": CHALLENGER}, LABELS).differ("a", "b", "accuracy", tail=0.05)
    assert asdict(mirrored.over_challenger) == pytest.approx(asdict(alone))


def test_they_are_in_the_metric_of_the_verdict() -> None:
    by_class = np.array([ENSEMBLE[c == LABELS].mean() for c in range(3)])
    assert compare("balanced_accuracy")[0].score.estimate == pytest.approx(by_class.mean())
    rates = {"mixup": [0.8, 0.5, 0.7], "grown": [0.6, 0.8, 0.7]}
    assert compare("worst_class", validation_per_class=rates)[0].score.estimate == pytest.approx(by_class.min())


def test_a_generated_arm_of_several_generators_has_their_spread() -> None:
    one = compare()[0].over_challenger
    several = compare(generators=[0, 1, 2, 0, 1])[0].over_challenger
    means = [CHALLENGER[[0, 3]].mean(), CHALLENGER[[1, 4]].mean(), CHALLENGER[2].mean()]
    assert several.estimate == pytest.approx(ENSEMBLE.mean() - np.mean(means))
    assert several.df < one.df, "three generators say less about a fourth than five seeds about a sixth"


def test_the_lowest_class_is_one_that_has_test_images() -> None:
    assert find_lowest([0.9, 0.2, 0.4, float("nan")], np.array([0, 0, 2, 3])) == 2


def test_rows_have_names() -> None:
    assert [name_way(row.to_dict()) for row in compare()] == ["mixup, ensemble of 5", "mixup, with mirror images"]
