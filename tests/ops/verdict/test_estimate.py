"""The closed form beside explicit loops and scipy's t-tests, its special cases, and its properties."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats

from ops.verdict.estimate import (
    BoolArray,
    Interval,
    Side,
    average_generators,
    estimate_contrast,
    find_critical,
    reduce_answers,
)
from ops.verdict.image_groups import FloatArray, Groups, IntArray, group_images

LABELS = np.array([0] * 30 + [3] * 20 + [7] * 10)
TAIL = 0.025


def draw(seeds: int, chance: float, seed: int, images: int = 60) -> BoolArray:
    """Answers to images of different difficulty by seeds of different strength."""
    rng = np.random.default_rng(seed)
    logit = rng.normal(np.log(chance / (1 - chance)), 1.0, images) + rng.normal(0, 0.4, (seeds, 1))
    return rng.random((seeds, images)) < 1 / (1 + np.exp(-logit))


def contrast(
    plus: Any, minus: Any | None, labels: IntArray | None = None, weights: FloatArray | None = None, **options: Any
) -> Interval:
    groups = group_images(labels, plus.shape[1])
    weights = np.full(len(groups.counts), 1 / len(groups.counts)) if weights is None else weights
    other = None if minus is None else Side(groups, reduce_answers(minus, groups), options.pop("other", weights))
    return estimate_contrast(Side(groups, reduce_answers(plus, groups), weights), other, tail=options.get("tail", TAIL))


def loop(plus: Any, minus: Any, labels: IntArray, u: list[float], w: list[float]) -> tuple[float, float, float]:
    """Estimate, V and df as audit and docstring write them, in plain Python."""
    classes = sorted(set(labels.tolist()))

    def mean(values: list[float]) -> float:
        return sum(values) / len(values)

    def vary(values: list[float]) -> float:
        return sum((v - mean(values)) ** 2 for v in values) / (len(values) - 1)

    image_part, image_information = 0.0, 0.0
    for k, c in enumerate(classes):
        rows = [i for i in range(len(labels)) if labels[i] == c]
        d = [u[k] * mean([float(s[i]) for s in plus]) - w[k] * mean([float(s[i]) for s in minus]) for i in rows]
        image_part += vary(d) / len(rows)
        image_information += (vary(d) / len(rows)) ** 2 / (len(rows) - 1)
    seed_part, seed_information, means = 0.0, 0.0, []
    for arm, weights in ((plus, u), (minus, w)):
        scores, noise = [], 0.0
        for s in arm:
            scores.append(
                sum(
                    weights[k] * mean([float(s[i]) for i in range(len(labels)) if labels[i] == c])
                    for k, c in enumerate(classes)
                )
            )
        for k, c in enumerate(classes):
            rows = [i for i in range(len(labels)) if labels[i] == c]
            noise += weights[k] ** 2 * mean([vary([float(s[i]) for s in arm]) for i in rows]) / len(rows)
        seed_part += (vary(scores) - noise) / len(arm)
        seed_information += (vary(scores) / len(arm)) ** 2 / (len(arm) - 1)
        means.append(mean(scores))
    variance = image_part + max(0.0, seed_part)
    df = variance**2 / (image_information + seed_information)
    return means[0] - means[1], variance, max(df, min(len(plus), len(minus), *np.bincount(labels)[classes]) - 1)


@pytest.mark.parametrize("seed", range(5))
def test_it_equals_plain_loops(seed: int) -> None:
    a, b = draw(5, 0.8, seed), draw(3, 0.7, 100 + seed)
    for labels, u, w in (
        (np.zeros(60, int), [1.0], [1.0]),
        (LABELS, [1 / 3] * 3, [1 / 3] * 3),
        (LABELS, [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]),
    ):
        found = contrast(a, b, labels, np.array(u), other=np.array(w))
        estimate, variance, df = loop(a, b, labels, u, w)
        assert found.estimate == pytest.approx(estimate)
        assert found.standard_error == pytest.approx(variance**0.5)
        assert found.df == pytest.approx(df)
        reach = stats.t.ppf(1 - TAIL, df) * variance**0.5
        assert (found.low, found.high) == pytest.approx((estimate - reach, estimate + reach))


def test_where_images_alone_vary_it_is_the_paired_t_test() -> None:
    a, b = (np.repeat(draw(1, chance, seed), 4, axis=0) for seed, chance in enumerate((0.8, 0.7)))
    found = contrast(a, b)
    expected = stats.ttest_rel(a[0].astype(float), b[0].astype(float)).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))
    assert found.df == pytest.approx(59)


def test_where_seeds_alone_vary_it_is_welchs_t_test() -> None:
    a, b = (
        np.repeat(scores[:, None], 10, axis=1) for scores in (np.array([1.0, 0, 1, 1, 1]), np.array([0.0, 1, 0, 0]))
    )
    found = contrast(a, b)
    # A seed answers all images alike, so only whole seeds vary, less a tenth that counts as single answers.
    variance = 0.9 * (a[:, 0].var(ddof=1) / 5 + b[:, 0].var(ddof=1) / 4)
    assert found.standard_error == pytest.approx(variance**0.5)
    welch = stats.ttest_ind(a[:, 0], b[:, 0], equal_var=False)
    assert found.df == pytest.approx(welch.df * 0.9**2)


def test_degrees_of_freedom_are_no_fewer_than_the_least_part_has() -> None:
    chances = np.random.default_rng(0).random((5, 60))
    a, b = chances < 0.8, chances < 0.75  # seed by seed the arms err together, so that V is less than its parts
    found = contrast(a, b)
    variance = found.standard_error**2
    information = sum((arm.mean(axis=1).var(ddof=1) / 5) ** 2 / 4 for arm in (a, b))
    assert variance**2 / information < 4 == found.df


def test_one_arm_alone_against_nothing() -> None:
    a = draw(5, 0.8, 1)
    alone, against_none_right = contrast(a, None), contrast(a, np.zeros((2, 60)))
    assert alone == against_none_right
    assert alone.estimate == pytest.approx(a.mean())


def test_a_class_holds_only_its_own_images_and_weights_scale() -> None:
    a, b = draw(5, 0.8, 2), draw(5, 0.7, 3)
    inside = LABELS == 3
    one = contrast(a, b, LABELS, np.array([0.0, 1.0, 0.0]))
    alone = contrast(a[:, inside], b[:, inside])
    for key in ("estimate", "low", "high", "standard_error", "df"):
        assert getattr(one, key) == pytest.approx(getattr(alone, key))


def test_balanced_accuracy_of_equal_classes_has_the_estimate_of_accuracy_and_no_more_variance() -> None:
    labels = np.arange(60) % 3
    a, b = draw(5, 0.8, 4), draw(5, 0.7, 5)
    plain, balanced = contrast(a, b), contrast(a, b, labels)
    assert balanced.estimate == pytest.approx(plain.estimate)
    # Differences between classes are not chance: classes are fixed, so only n_c - 1 against n - 1 could add variance.
    assert balanced.standard_error <= plain.standard_error * (59 / 57) ** 0.5


def test_order_of_images_and_replicates_does_not_matter_and_sides_swap() -> None:
    a, b = draw(5, 0.8, 6), draw(4, 0.7, 7)
    order = np.random.default_rng(0).permutation(60)
    first = contrast(a, b, LABELS)
    turned = contrast(a[::-1, order], b[::-1, order], LABELS[order])
    swapped = contrast(b, a, LABELS)
    assert (turned.low, turned.high, turned.df) == pytest.approx((first.low, first.high, first.df))
    assert (swapped.low, swapped.high) == pytest.approx((-first.high, -first.low))


def test_answers_that_agree_on_every_image_leave_the_error_of_one_image() -> None:
    right, wrong = np.ones((5, 60), bool), np.zeros((3, 60), bool)
    one_wrong = right.copy()
    one_wrong[:, 0] = False
    for other, gap in ((right, 0.0), (wrong, 1.0)):
        found = contrast(right, other)
        assert (found.estimate, found.standard_error, found.df) == (gap, pytest.approx(1 / 60), 59)
    assert contrast(right, one_wrong).standard_error == pytest.approx(1 / 60)  # the least that can be seen
    inside = contrast(right, right, LABELS, np.array([0.0, 1.0, 0.0]))
    count = (LABELS == 3).sum()
    assert (inside.standard_error, inside.df) == (pytest.approx(1 / count), count - 1)


def test_the_least_error_never_makes_an_interval_narrower() -> None:
    """One seed of one arm is wrong on a few images: there is little variance, and few degrees of freedom."""
    steady, right = np.ones((5, 100), bool), np.ones((5, 100), bool)
    for wrong in range(1, 5):
        steady[0, :wrong] = False
        found, means = contrast(steady, right), steady.mean(axis=0)
        images, between, inside = means.var(ddof=1) / 100, (wrong / 100) ** 2 / 25, wrong * 0.2 / 100**2 / 5
        measured = images + max(0.0, between - inside)
        assert measured < found.standard_error**2 == pytest.approx(1 / 100**2) and found.df >= 4
        assert found.high - found.estimate >= stats.t.ppf(0.975, found.df) * measured**0.5
        assert found.df < 99, "the seeds' freedom, not the images'"


def test_one_replicate_measures_images_alone() -> None:
    a, b = draw(1, 0.8, 8), draw(1, 0.7, 9)
    d = a[0].astype(float) - b[0]
    assert contrast(a, b).standard_error == pytest.approx(d.std(ddof=1) / 60**0.5)


def test_a_class_of_one_image_takes_the_variance_over_all_images() -> None:
    labels = np.array([0] * 59 + [1])
    a, b = draw(1, 0.8, 10), draw(1, 0.7, 11)
    d = a[0].astype(float) - b[0]
    found = contrast(a, b, labels)
    expected = (d[:59].var(ddof=1) / 59 + d.var(ddof=1)) / 4
    assert found.standard_error**2 == pytest.approx(expected)
    assert found.df is not None and found.df < 62


def test_generators_count_equally_and_stand_for_replicates() -> None:
    a, b = draw(5, 0.8, 12), draw(5, 0.7, 13)
    replicates = average_generators(a, np.array([4, 1, 9, 4, 1]))
    np.testing.assert_allclose(replicates, [(a[1] * 1.0 + a[4]) / 2, (a[0] * 1.0 + a[3]) / 2, a[2]])
    found = contrast(replicates, b)
    estimate, variance, df = loop(replicates, b, np.zeros(60, int), [1.0], [1.0])
    assert (found.estimate, found.standard_error, found.df) == pytest.approx((estimate, variance**0.5, df))
    each = average_generators(a, np.arange(5))
    assert contrast(each, b) == contrast(a, b)


def test_a_difference_between_generators_widens_the_interval() -> None:
    rng = np.random.default_rng(0)
    used = np.arange(6) % 3
    a = rng.random((6, 4000)) < np.array([0.70, 0.80, 0.90])[used, None]
    b = rng.random((6, 4000)) < 0.8
    seeds, generators = contrast(a, b), contrast(average_generators(a, used), b)
    assert generators.estimate == pytest.approx(seeds.estimate)
    # Three means 10 points apart have a standard error of 5.8 points; six seeds as if independent 3.7.
    assert generators.standard_error == pytest.approx(0.1 / 3**0.5, rel=0.1)
    assert seeds.standard_error == pytest.approx(0.0894 / 6**0.5, rel=0.1)
    assert generators.df == pytest.approx(2, rel=0.1)


@pytest.mark.parametrize("df", [1.0, 2.5, 8.0, 400.0])
def test_quantiles_are_students(df: float) -> None:
    assert find_critical(0.025, df) == pytest.approx(stats.t.ppf(0.975, df))


def test_inputs_without_an_estimate_are_refused() -> None:
    a = draw(3, 0.8, 0)
    groups = Groups(np.zeros(60, int))
    for replicates in (a[0], a[:, :10], a[:0]):
        with pytest.raises(ValueError, match="answers"):
            reduce_answers(replicates, groups)
    for tail in (0.0, 0.5):
        with pytest.raises(ValueError, match="tail"):
            contrast(a, None, tail=tail)
    with pytest.raises(ValueError, match="two images"):
        contrast(a[:, :1], None)
