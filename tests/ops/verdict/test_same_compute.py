"""Other uses of the same compute, against closed forms and by hand."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
import pytest
from scipy.stats import t

from ops.verdict.comparison import Comparison
from ops.verdict.same_compute import Row, average_probabilities, compare_same_compute, name_way

RNG = np.random.default_rng(5)
LABELS = RNG.integers(0, 3, 400)
BASELINE, CHALLENGER, MIRRORED = (RNG.random((5, 400)) < share for share in (0.7, 0.75, 0.72))
ENSEMBLE = BASELINE.sum(axis=0) > 2


def compare(metric: str = "accuracy", **changes: object) -> list[Row]:
    return compare_same_compute(
        BASELINE, CHALLENGER, ENSEMBLE, {"mixup": MIRRORED}, LABELS, baseline="mixup", challenger="grown",
        **{"metric": metric, "confidence": 0.9} | changes,
    )  # fmt: skip


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


def test_differences_are_from_the_two_compared_arms() -> None:
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


METRICS: dict[str, dict[str, object]] = {
    "accuracy": {}, "balanced_accuracy": {},
    "worst_class": {"validation_per_class": {"mixup": [0.8, 0.5, 0.7], "grown": [0.6, 0.8, 0.7]}},
}  # fmt: skip


@pytest.mark.parametrize("metric", METRICS)
def test_networks_with_equal_answers_differ_by_less_than_one_image(metric: str) -> None:
    def find(answers: np.ndarray, **options: object) -> list[Row]:
        alike = BASELINE[:1].repeat(5, axis=0)
        return compare_same_compute(
            alike, CHALLENGER, BASELINE[0], {"mixup": alike, "grown": answers}, LABELS,
            baseline="mixup", challenger="grown", metric=metric, confidence=0.9, **METRICS[metric] | options,
        )  # fmt: skip

    for generators in (None, [0, 1, 2, 0, 1]):
        ensemble, mirrored, grown = find(CHALLENGER, generators=generators)
        for gap in (ensemble.over_baseline, mirrored.over_baseline, grown.over_challenger):
            assert gap.estimate == 0 and gap.low == pytest.approx(-gap.high) and 0 < gap.standard_error < 1 / 100
        assert grown.over_baseline.low < grown.over_baseline.high
    shifted = find(CHALLENGER & (np.arange(400) % 40 > 0))[2].over_challenger
    assert shifted.low < shifted.estimate < 0


def test_mirror_images_are_compared_with_the_same_networks_without_them() -> None:
    """Seeds vary by 10 points and mirror images add 2 to each: the first does not enter the second's error."""
    rng = np.random.default_rng(0)
    plain = rng.random((5, 4000)) < np.array([0.6, 0.65, 0.7, 0.75, 0.8])[:, None]
    mirrored = plain | (rng.random((5, 4000)) < 0.07)
    labels = rng.integers(0, 3, 4000)
    _, row = compare_same_compute(
        plain, plain, plain[0], {"mixup": mirrored}, labels, baseline="mixup", challenger="grown", metric="accuracy",
        confidence=0.9,
    )  # fmt: skip
    gains = (mirrored.astype(float) - plain).mean(axis=1)
    assert row.over_baseline.estimate == pytest.approx(gains.mean())
    assert row.over_baseline.high - row.over_baseline.low < 0.02 < row.over_challenger.high - row.over_challenger.low
    change = (mirrored.astype(float) - plain).mean(axis=0)
    inside = (mirrored.astype(float) - plain).var(axis=0, ddof=1).mean() / 4000
    expected = change.var(ddof=1) / 4000 + max(0.0, gains.var(ddof=1) - inside) / 5
    assert row.over_baseline.standard_error**2 == pytest.approx(expected)


def test_rows_have_names() -> None:
    assert [name_way(row.to_dict()) for row in compare()] == ["mixup, ensemble of 5", "mixup, with mirror images"]
