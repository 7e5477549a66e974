"""The worth of a gain: known truth at the nominal rate, 0 for no gain, order, and where the curve ends."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.parts.label_curves import CLASSES, LABELS, LAWS, Setting, find_truth, measure_coverage, simulate_curve
from ops.verdict.worth.curve import fit_curve
from ops.verdict.worth.labels import Gain, Worth, convert_gain

CURVE = simulate_curve(LAWS["power without a floor"], Setting(), np.random.default_rng(0))
FIT = fit_curve(CURVE, 500, np.random.default_rng(0))


def convert(estimate: float, reach: float = 0.005) -> Worth:
    gain = Gain(estimate, estimate - reach, estimate + reach, 20.0)
    return convert_gain(FIT, CURVE.sizes, gain, 0.95, np.random.default_rng(1))


@pytest.mark.parametrize("law", ["power", "logarithm"])
def test_the_interval_covers_the_worth_by_a_known_law_as_often_as_it_says(law: str) -> None:
    """95 % within three errors of 60 curves, for losses, no gain, and gains."""
    for share, _ in measure_coverage(LAWS[law], (-0.02, 0.0, 0.01), 60, 3).values():
        assert share >= 0.95 - 3 * (0.95 * 0.05 / 60) ** 0.5


def test_a_sharp_curve_gives_the_worth_that_its_law_says() -> None:
    law = LAWS["power without a floor"]
    curve = simulate_curve(law, Setting(images=200_000, spread=0.0005), np.random.default_rng(0))
    fit = fit_curve(curve, 200, np.random.default_rng(0))
    for gain in (-0.02, 0.005, 0.02):
        found = convert_gain(
            fit, curve.sizes, Gain(gain, gain - 1e-4, gain + 1e-4, 50.0), 0.95, np.random.default_rng(0)
        )
        truth = LABELS / CLASSES * ((1 - gain / law(LABELS)) ** (-1 / 0.3) - 1)
        assert find_truth(law, gain) == pytest.approx(truth, rel=1e-3)
        assert found.low < truth < found.high and found.estimate == pytest.approx(truth, rel=0.15)


def test_no_gain_is_worth_nothing_with_an_interval_around_it() -> None:
    found = convert(0.0)
    assert found.estimate == 0.0 and found.low < 0.0 < found.high
    exact = convert(0.0, reach=0.0)
    assert (exact.low, exact.estimate, exact.high) == (0.0, 0.0, 0.0), "the curve's uncertainty does not matter there"


def test_a_larger_gain_is_worth_no_less() -> None:
    rising = [convert(gain) for gain in np.linspace(-0.08, 0.08, 33)]
    for key in ("estimate", "low", "high"):
        values = [getattr(each, key) for each in rising]
        assert values == sorted(values) and values[0] < 0.0 < values[-1]


def test_a_less_certain_gain_has_a_wider_interval() -> None:
    sure, unsure = convert(0.01, 0.002), convert(0.01, 0.008)
    assert unsure.low < sure.low < sure.estimate == unsure.estimate and sure.high <= unsure.high


def test_nothing_is_told_beyond_the_curve() -> None:
    whole = CURVE.sizes[-1]
    found = convert(0.09)
    assert found.high == found.most == 3 * whole and found.is_beyond(found.high)
    assert found.least == CURVE.sizes[0] - whole and convert(-0.5).estimate == found.least
    assert convert(0.09).is_told and not convert(0.0, reach=1.0).is_told
    halved = convert_gain(FIT, [50.0, 75.0, 100.0], Gain(0.2, 0.19, 0.21, 20.0), 0.95, np.random.default_rng(0))
    assert halved.most == 100.0, "a curve that reaches down to half tells up to twice"
