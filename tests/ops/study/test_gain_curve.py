"""The law of gains: planted parameters come back, intervals cover, and what cannot be fitted is said."""

from __future__ import annotations

import numpy as np
import pytest

from ops.study.gain_curve import CENTRE, Gains, _estimate_noise, can_fit, describe, find_ends, fit_gains
from tests.gains import LAW, RATIOS, SIZES, count_covered, find_gains, measure_gains


def test_gains_of_the_law_without_noise_give_its_parameters_back() -> None:
    exact = [
        Gains(size, [ratio * size for ratio in RATIOS], np.tile(own, (3, 1)))
        for size, own in zip(SIZES, find_gains(LAW), strict=True)
    ]
    curve = fit_gains(exact, 50, np.random.default_rng(0))
    np.testing.assert_allclose(curve.parameters, np.tile(LAW, (51, 1)), atol=1e-5)
    assert curve.freedom == 2 * len(SIZES) and curve.enlarged == 1.0
    assert np.abs(np.concatenate(curve.residuals)).max() < 1e-7


def test_the_law_is_nothing_without_generated_images_and_turns_where_it_says() -> None:
    assert not describe(50.0, 0.0).any()
    np.testing.assert_allclose(describe(CENTRE, CENTRE), [np.log(2), 0, 0.5, 0])
    growth, share = 0.02, -0.09  # at CENTRE: falls until 1 + m/n = 4.5, then rises
    gains = [growth * describe(CENTRE, m)[0] + share * describe(CENTRE, m)[2] for m in np.arange(0.0, 2000.0)]
    assert int(np.argmin(gains)) == pytest.approx((-share / growth - 1) * CENTRE, abs=1)


def test_an_independent_least_squares_gives_the_same_parameters() -> None:
    """With one seed all means weigh alike: ordinary least squares."""
    rng = np.random.default_rng(3)
    measured = measure_gains(rng, find_gains(LAW), seeds=1)
    rows = []
    for size in SIZES:
        z = np.log(size / 100)
        for ratio in RATIOS:
            growth, share = np.log(1 + ratio), ratio / (1 + ratio)
            rows.append([growth, growth * z, share, share * z])
    values = np.concatenate([each.seen[0] for each in measured])
    expected = np.linalg.lstsq(np.array(rows), values, rcond=None)[0]
    curve = fit_gains(measured, 100, rng)
    np.testing.assert_allclose(curve.parameters, expected[None], rtol=1e-9)
    assert curve.find_interval(100.0, 300.0, 0.95) is None


def test_one_seed_of_some_numbers_still_counts() -> None:
    rng = np.random.default_rng(4)
    many, few = measure_gains(rng, find_gains(LAW), seeds=4), measure_gains(rng, find_gains(LAW), seeds=1)
    measured = [*many[:2], *few[2:]]
    noise = _estimate_noise(measured)
    assert fit_gains(measured, 100, rng).freedom == noise.freedom == 6
    # With two numbers that repeat, the variance is theirs alone.
    np.testing.assert_allclose(noise.covary(few[2]), 4 * noise.covary(many[0]))


def test_the_seeds_deviation_is_found() -> None:
    rng = np.random.default_rng(5)
    measured = measure_gains(rng, find_gains(LAW), seeds=400, deviation=0.01, power=-0.7)
    noise = _estimate_noise(measured)
    assert noise.power == pytest.approx(-0.7, abs=0.1)
    for gains in measured:
        deviations = np.sqrt(400 * np.diag(noise.covary(gains)))
        np.testing.assert_allclose(deviations, 0.01 * (gains.real / CENTRE) ** -0.35, rtol=0.1)


def test_intervals_cover_about_as_often_as_they_say() -> None:
    eighty, ninety_five = count_covered(np.random.default_rng(0), 60, 150)
    assert 0.7 < eighty < 0.9
    assert 0.89 < ninety_five <= 1.0


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [2, 3, 5])
def test_intervals_cover_as_often_as_they_say(seeds: int) -> None:
    """600 repetitions: a share of 0.8 has a standard error of at most 0.016, if the gains of one agree fully."""
    eighty, ninety_five = count_covered(np.random.default_rng(1), 600, 400, seeds=seeds)
    assert 0.75 < eighty < 0.88
    assert 0.92 < ninety_five < 0.99


def test_gains_that_no_law_describes_have_wider_intervals_and_are_told() -> None:
    bent = [own + 0.05 * (-1) ** number for number, own in enumerate(find_gains(LAW))]
    rng = np.random.default_rng(6)
    curve = fit_gains(measure_gains(rng, bent, deviation=0.002), 400, rng)
    assert curve.enlarged > 3
    straight = fit_gains(measure_gains(rng, find_gains(LAW), deviation=0.002), 400, rng)

    def width(ends: tuple[float, float] | None) -> float:
        assert ends is not None
        return ends[1] - ends[0]

    assert width(curve.find_interval(50, 150, 0.8)) > 3 * width(straight.find_interval(50, 150, 0.8))


def test_what_does_not_decide_a_law_is_told() -> None:
    rng = np.random.default_rng(7)
    measured = measure_gains(rng, find_gains(LAW))
    one_ratio = [Gains(each.real, each.generated[:1], each.seen[:, :1]) for each in measured]
    assert can_fit(measured[:2]) and not can_fit(measured[:1]) and not can_fit(one_ratio) and not can_fit([])
    with pytest.raises(ValueError, match="two numbers of real images, each with two"):
        fit_gains(one_ratio, 10, rng)


@pytest.mark.parametrize(("real", "generated"), [(0.0, 1.0), (-1.0, 1.0), (10.0, -1.0)])
def test_numbers_that_cannot_be_are_refused(real: float, generated: float) -> None:
    with pytest.raises(ValueError, match="needs real images"):
        describe(real, generated)


def test_ends_are_quantiles_of_the_draws_alone() -> None:
    values = np.concatenate([[1e9], np.linspace(0, 1, 1001)])
    assert find_ends(values, 0.8) == pytest.approx((0.1, 0.9))
    assert find_ends(values[:1], 0.8) is None
