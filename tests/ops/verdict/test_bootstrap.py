"""The crossed bootstrap: closed forms, a naive twin, measured coverage, and what may not change a result."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ops.verdict.bootstrap import (
    BoolArray,
    bootstrap_classes,
    bootstrap_means,
    find_smallest_detectable,
    summarise,
)


def simulate_arms(
    stream: np.random.Generator,
    *,
    seeds: int,
    images: int,
    strengths: tuple[float, ...],
    image_spread: float = 2.0,
    arm_spread: float = 0.3,
    seed_spread: float = 0.0,
) -> BoolArray:
    """Probit model with closed-form truth: right where strength + image + image-by-arm + seed + noise > 0."""
    difficulty = stream.normal(0, image_spread, images)
    return np.stack(
        [
            strength
            + difficulty
            + stream.normal(0, arm_spread, images)
            + stream.normal(0, seed_spread, (seeds, 1))
            + stream.normal(0, 1, (seeds, images))
            > 0
            for strength in strengths
        ]
    )


def resample_naively(correct: BoolArray, resamples: int, seed: int) -> npt.NDArray[np.float64]:
    """The definition, in loops: draw images, draw seeds, average over the drawn pairs."""
    stream = np.random.default_rng(seed)
    arms, seeds, images = correct.shape
    means = np.empty((resamples, arms))
    for r in range(resamples):
        rows = [int(stream.integers(seeds)) for _ in range(seeds)]
        columns = stream.integers(images, size=images)
        for a in range(arms):
            means[r, a] = np.mean([correct[a, s][columns].mean() for s in rows])
    return means


@pytest.mark.parametrize("rate", [0.5, 0.93])
def test_one_arm_one_seed_has_the_binomial_standard_error(rate: float) -> None:
    correct = (np.arange(1000) < 1000 * rate)[None, None, :]
    draws = bootstrap_means(correct, resamples=20_000, seed=1)[:, 0]
    closed_form = np.sqrt(rate * (1 - rate) / 1000)
    assert summarise(draws, rate, 0.95).standard_error == pytest.approx(closed_form, rel=0.03)
    assert draws.mean() == pytest.approx(rate, abs=0.001)


def test_seeds_that_alone_vary_have_the_standard_error_of_a_seed_mean() -> None:
    correct = np.zeros((1, 4, 50), dtype=bool)
    correct[0, :3] = True
    draws = bootstrap_means(correct, resamples=20_000, seed=1)[:, 0]
    assert draws.std() == pytest.approx(np.sqrt(0.75 * 0.25 / 4), rel=0.03)


@pytest.mark.parametrize("shape", ["mostly alike", "all different"])
def test_agrees_with_the_naive_crossed_bootstrap(shape: str) -> None:
    stream = np.random.default_rng(7)
    spread, seeds = (6.0, 3) if shape == "mostly alike" else (0.2, 5)
    correct = simulate_arms(stream, seeds=seeds, images=150, strengths=(0.5, 1.0), image_spread=spread, seed_spread=0.2)
    slow = resample_naively(correct, 4000, seed=3)
    fast = bootstrap_means(correct, resamples=4000, seed=4)
    for a, b in ((slow[:, 0], fast[:, 0]), (slow[:, 1] - slow[:, 0], fast[:, 1] - fast[:, 0])):
        assert b.std() == pytest.approx(a.std(), rel=0.06)
        assert b.mean() == pytest.approx(a.mean(), abs=5 * a.std() / np.sqrt(4000))
        assert np.quantile(b, [0.025, 0.975]) == pytest.approx(np.quantile(a, [0.025, 0.975]), abs=0.2 * a.std())


def test_naive_class_accuracies_agree_too() -> None:
    stream = np.random.default_rng(8)
    correct = simulate_arms(stream, seeds=3, images=60, strengths=(0.8,))
    labels = stream.integers(3, size=60)
    draws = bootstrap_classes(correct, labels, n_classes=3, resamples=4000, seed=1)
    slow = np.empty((4000, 3))
    for r in range(4000):
        columns = stream.integers(60, size=60)
        rows = stream.integers(3, size=3)
        drawn = correct[0][rows][:, columns]
        slow[r] = [drawn[:, labels[columns] == c].mean() for c in range(3)]
    assert draws.class_means[:, 0].std(axis=0) == pytest.approx(slow.std(axis=0), rel=0.06)
    assert draws.balanced.std() == pytest.approx(slow.mean(axis=1).std(), rel=0.06)


def cover_truth(seed_spread: float, seeds: int, repetitions: int = 300) -> float:
    """Share of 95 % intervals of the paired difference that contain the true difference."""
    scale = np.sqrt(2.0**2 + 0.3**2 + seed_spread**2 + 1)
    truth = NormalDist().cdf(1.1 / scale) - NormalDist().cdf(1.0 / scale)
    stream = np.random.default_rng(11)
    hits = 0
    for repetition in range(repetitions):
        correct = simulate_arms(stream, seeds=seeds, images=300, strengths=(1.0, 1.1), seed_spread=seed_spread)
        draws = bootstrap_means(correct, resamples=400, seed=repetition)
        interval = summarise(draws[:, 1] - draws[:, 0], 0.0, 0.95)
        hits += interval.low <= truth <= interval.high
    return hits / repetitions


def test_intervals_cover_the_truth_with_ten_seeds() -> None:
    assert 0.88 <= cover_truth(seed_spread=0.2, seeds=10) <= 0.99


def test_the_two_documented_biases_are_there() -> None:
    assert cover_truth(seed_spread=0.0, seeds=5) >= 0.97
    assert 0.78 <= cover_truth(seed_spread=0.6, seeds=5) <= 0.92


def test_equal_arms_differ_by_exactly_zero_in_every_resample() -> None:
    one = simulate_arms(np.random.default_rng(1), seeds=3, images=500, strengths=(0.7,))
    draws = bootstrap_means(np.concatenate([one, one]), resamples=300, seed=1)
    assert np.all(draws[:, 0] == draws[:, 1])
    interval = summarise(draws[:, 1] - draws[:, 0], 0.0, 0.95)
    assert (interval.low, interval.high, interval.standard_error) == (0.0, 0.0, 0.0)


@settings(max_examples=40, deadline=None)
@given(
    arms=st.integers(1, 3),
    seeds=st.integers(1, 4),
    images=st.integers(1, 80),
    classes=st.integers(1, 4),
    seed=st.integers(0, 2**32),
)
def test_any_shape_gives_consistent_accuracies(arms: int, seeds: int, images: int, classes: int, seed: int) -> None:
    stream = np.random.default_rng(seed)
    correct = stream.random((arms, seeds, images)) < stream.random(images)
    labels = stream.integers(classes, size=images)
    draws = bootstrap_classes(correct, labels, n_classes=classes, resamples=70, seed=seed)
    assert draws.means.shape == draws.balanced.shape == (70, arms)
    assert draws.class_means.shape == (70, arms, classes)
    assert np.all((draws.means >= 0) & (draws.means <= 1))
    drawn = ~np.isnan(draws.class_means)
    assert np.all(drawn.any(axis=2)) and not drawn[:, :, np.bincount(labels, minlength=classes) == 0].any()
    assert draws.balanced == pytest.approx(np.nanmean(draws.class_means, axis=2), abs=1e-6)
    if classes == 1:
        assert draws.means == pytest.approx(draws.balanced)
    # The order in which test images are stored says nothing.
    order = stream.permutation(images)
    again = bootstrap_means(correct[:, :, order], resamples=70, seed=seed, labels=labels[order], n_classes=classes)
    assert np.array_equal(draws.means, again)


def test_same_seed_same_draws_other_seed_other_draws() -> None:
    correct = simulate_arms(np.random.default_rng(1), seeds=2, images=100, strengths=(0.0, 0.1))
    first, second, other = (bootstrap_means(correct, resamples=200, seed=s) for s in (5, 5, 6))
    assert np.array_equal(first, second) and not np.array_equal(first, other)


def test_a_class_that_was_not_drawn_is_nan_and_left_out_of_its_interval() -> None:
    correct = np.ones((1, 2, 30), dtype=bool)
    labels = np.array([1] + [0] * 29)
    draws = bootstrap_classes(correct, labels, n_classes=2, resamples=1000, seed=1)
    missing = np.isnan(draws.class_means[:, 0, 1])
    assert missing.mean() == pytest.approx((29 / 30) ** 30, abs=0.06)
    assert summarise(draws.class_means[:, 0, 1], 1.0, 0.95).low == 1.0
    assert np.all(draws.balanced == 1.0)


def test_percentiles_are_two_sided() -> None:
    interval = summarise(np.linspace(0, 1, 1001), 0.4, 0.9)
    assert (interval.estimate, interval.low, interval.high) == pytest.approx((0.4, 0.05, 0.95))


def test_smallest_detectable_effect_is_the_textbook_multiple_of_the_error() -> None:
    assert find_smallest_detectable(0.01, 0.95) == pytest.approx(0.01 * (1.959964 + 0.841621), rel=1e-5)
    assert find_smallest_detectable(0.0, 0.95) is None


@pytest.mark.parametrize(
    ("correct", "labels", "message"),
    [
        (np.ones((2, 5)), None, "bool"),
        (np.ones((1, 2, 5)), None, "bool"),
        (np.ones((1, 0, 5), dtype=bool), None, "at least one"),
        (np.ones((1, 2, 5), dtype=bool), np.zeros(4, dtype=int), "labels"),
        (np.ones((1, 2, 5), dtype=bool), np.full(5, 2), r"0\.\.1"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(
    correct: BoolArray, labels: npt.NDArray[np.int64] | None, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        bootstrap_means(correct, resamples=10, seed=0, labels=labels, n_classes=2)
