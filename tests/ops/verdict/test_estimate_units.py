"""Intervals where test images belong together: plain loops, limits, coverage, and what a verdict says of them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from ops.verdict.comparison import Comparison, compare_paired
from ops.verdict.decision import decide
from ops.verdict.estimate import Interval, Side, estimate_contrast, reduce_answers, split_image_variance
from ops.verdict.image_groups import IntArray, group_images
from ops.verdict.records import Budget, Kind

TAIL = 0.025
LABELS = np.repeat([0, 1, 2], [24, 18, 8])
NESTED = np.concatenate([np.arange(24) // 4, 10 + np.arange(18) // 3, 20 + np.arange(8) // 2])
SHARED = np.arange(50) % 7  # every class shares units with every other
PARTLY = np.where(LABELS == 0, NESTED, 10 + np.arange(50) % 5)  # the last two classes do


def draw(seed: int, units: IntArray, *, sd: float = 1.0, seeds: int = 3) -> np.ndarray:
    """Answers, bool [seeds, n], that images of a unit share by `sd` on the scale of logits."""
    rng = np.random.default_rng(seed)
    logit = 1.0 + rng.normal(0, sd, units.max() + 1)[units] + rng.normal(0, 0.3, (seeds, 1))
    return rng.random((seeds, len(units))) < 1 / (1 + np.exp(-logit))


def make_sides(answers: tuple[Any, Any], labels: IntArray | None, units: IntArray | None) -> tuple[Side, Side]:
    groups = group_images(labels, answers[0].shape[1], units=units)
    weights = np.full(len(groups.counts), 1 / len(groups.counts))
    one, other = (Side(groups, reduce_answers(each, groups), weights) for each in answers)
    return one, other


def contrast(answers: tuple[Any, Any], labels: IntArray | None, units: IntArray | None) -> Interval:
    return estimate_contrast(*make_sides(answers, labels, units), tail=TAIL)


def loop(answers: tuple[Any, Any], labels: IntArray, units: IntArray, strata: list[list[int]]) -> tuple[float, float]:
    """V and df of the docstrings in plain Python; strata: the classes of each."""
    classes = sorted(set(labels.tolist()))
    w, n, owners = 1 / len(classes), len(labels), sorted(set(units.tolist()))

    def mean(values: list[float]) -> float:
        return sum(values) / len(values)

    def vary(values: list[float]) -> float:
        return sum((v - mean(values)) ** 2 for v in values) / (len(values) - 1)

    rows = {c: [i for i in range(n) if labels[i] == c] for c in classes}

    def share(u: int, c: int) -> float:
        return sum(units[i] == u for i in rows[c]) / len(rows[c])

    def influence(y: list[float], u: int, c: int) -> float:
        centre = mean([y[i] for i in rows[c]])
        return sum(y[i] - centre for i in rows[c] if units[i] == u) / len(rows[c]) / math.sqrt(1 - share(u, c))

    def freedom(c: int) -> float:
        """From the eigenvalues themselves."""
        h = np.array([share(u, c) for u in owners if share(u, c) > 0])
        residuals = (np.diag(h) - np.outer(h, h)) / np.sqrt(1 - h)[:, None]
        found = np.linalg.eigvalsh(residuals @ residuals.T)
        return float(found.sum() ** 2 / (found**2).sum())

    d = [w * (mean([float(s[i]) for s in answers[0]]) - mean([float(s[i]) for s in answers[1]])) for i in range(n)]
    variance, information = 0.0, 0.0
    for stratum in strata:
        part = sum(sum(influence(d, u, c) for c in stratum) ** 2 for u in owners)
        own = {c: sum(influence(d, u, c) ** 2 for u in owners) for c in stratum}
        df = sum(own.values()) / sum(own[c] / freedom(c) for c in stratum)
        variance += part
        information += part**2 / df
    seeds = 0.0
    for arm in answers:
        scores = [sum(w * mean([float(s[i]) for i in rows[c]]) for c in classes) for s in arm]
        noise = 0.0
        for u in owners:
            noise += vary([sum(w * influence([float(v) for v in s], u, c) for c in classes) for s in arm])
        seeds += (vary(scores) - noise) / len(arm)
        information += (vary(scores) / len(arm)) ** 2 / (len(arm) - 1)
    variance += max(0.0, seeds)
    return variance, variance**2 / information


@pytest.mark.parametrize(
    ("units", "strata"), [(NESTED, [[0], [1], [2]]), (SHARED, [[0, 1, 2]]), (PARTLY, [[0], [1, 2]])]
)
def test_the_closed_form_is_the_loop(units: IntArray, strata: list[list[int]]) -> None:
    answers = draw(1, units), draw(2, units)
    found = contrast(answers, LABELS, units)
    variance, df = loop(answers, LABELS, units, strata)
    assert found.standard_error**2 == pytest.approx(variance, rel=1e-9)
    assert found.df == pytest.approx(max(df, 2), rel=1e-9)  # never below that of the smallest part, three seeds
    assert group_images(LABELS, 50, units=units).pairs.strata.tolist() == [
        next(s for s, classes in enumerate(strata) if c in classes) for c in range(3)
    ]


@pytest.mark.parametrize("labels", [None, LABELS])
def test_units_of_one_image_change_nothing(labels: IntArray | None) -> None:
    answers = draw(1, np.arange(50)), draw(2, np.arange(50))
    alone, apart = (make_sides(answers, labels, units) for units in (None, 7 * np.arange(50)[::-1]))
    for plain, united in zip(split_image_variance(*alone), split_image_variance(*apart), strict=True):
        np.testing.assert_allclose(plain, united, rtol=1e-9)
    for one, other in zip(alone, apart, strict=True):
        assert other.spread[1] == pytest.approx(one.spread[1], rel=0.2)  # centred, and n / (n - 1) times as much


@pytest.mark.parametrize("labels", [None, LABELS])
def test_repeated_images_count_once_each(labels: IntArray | None) -> None:
    """Four copies of every image say no more than the images."""
    answers = draw(3, np.arange(50)), draw(4, np.arange(50))
    once = contrast(answers, labels, np.arange(50))
    copied = tuple(np.repeat(each, 4, axis=1) for each in answers)
    again = contrast((copied[0], copied[1]), None if labels is None else np.repeat(labels, 4), np.repeat(range(50), 4))
    for key in ("estimate", "low", "high", "df"):
        assert getattr(again, key) == pytest.approx(getattr(once, key), rel=1e-9)


def test_intervals_cover_where_images_of_a_unit_are_alike() -> None:
    """60 patients of 10 images: with units the interval holds the true difference, 0, as often as it says."""
    units, rng = np.repeat(np.arange(60), 10), np.random.default_rng(0)
    covered, blind = 0, 0
    for _ in range(400):
        shared = rng.normal(0, 1.0, (2, 60))[:, units] + rng.normal(0, 1.0, 60)[units]
        sides = [rng.random((5, 600)) < 1 / (1 + np.exp(-(1.0 + each))) for each in shared]
        for groups in (units, None):
            found = contrast((sides[0], sides[1]), None, groups)
            holds = found.low <= 0.0 <= found.high
            covered, blind = (covered + holds, blind) if groups is units else (covered, blind + holds)
    assert 0.92 < covered / 400 < 0.98
    assert blind / 400 < 0.8


@pytest.mark.parametrize("sizes", [(100, *[5] * 6), (80, 10, 10), (60, 10, 10, 10, 10)])
def test_intervals_cover_where_one_group_has_most_of_the_images(sizes: tuple[int, ...]) -> None:
    """With the degrees of freedom of equal groups half of these intervals miss."""
    units, rng, covered = np.repeat(np.arange(len(sizes)), sizes), np.random.default_rng(0), 0
    for _ in range(300):
        base = rng.normal(1.5, 1.0, len(units))
        sides = [base + rng.normal(0, 1.0, len(sizes))[units] for _ in range(2)]
        answers = [rng.random((5, len(units))) < 1 / (1 + np.exp(-side)) for side in sides]
        found = contrast((answers[0], answers[1]), None, units)
        covered += found.low <= 0.0 <= found.high
    assert covered / 300 > 0.93


@pytest.mark.parametrize("sizes", [(6,) * 8, (1,) * 40])
def test_groups_of_one_size_have_the_usual_correction_and_degrees_of_freedom(sizes: tuple[int, ...]) -> None:
    units = np.repeat(np.arange(len(sizes)), sizes)
    pairs, g = group_images(None, len(units), units=units).pairs, len(sizes)
    assert pairs.freedom.tolist() == [pytest.approx(g - 1)]
    values = np.random.default_rng(0).normal(size=len(units))
    sums = np.bincount(units, weights=values - values.mean()) / len(units)
    np.testing.assert_allclose(pairs.find_influences(values), np.sqrt(g / (g - 1)) * sums)


def test_balanced_accuracy_covers_where_one_class_has_few_of_the_units() -> None:
    """30 patients with images of two classes, of whom five have some of a third one."""
    rng, patients = np.random.default_rng(0), np.arange(30)
    units = np.concatenate([np.repeat(patients, 4), np.repeat(patients, 4), np.repeat(patients[:5], 4)])
    labels = np.repeat([0, 1, 2], [120, 120, 20])
    covered = 0
    for _ in range(400):
        base = rng.normal(1.0, 1.0, 30)[units]
        sides = [base + rng.normal(0, 1.0, (30, 3))[units, labels] for _ in range(2)]
        answers = [rng.random((5, len(units))) < 1 / (1 + np.exp(-side)) for side in sides]
        found = contrast((answers[0], answers[1]), labels, units)
        covered += found.low <= 0.0 <= found.high
    assert covered / 400 > 0.93


def test_seeds_that_move_a_patients_threshold_are_no_part_of_the_images() -> None:
    """A seed that answers class 0 more often, and class 1 less, for a patient leaves its balanced accuracy alone."""
    rng, covered = np.random.default_rng(1), 0
    units, labels = np.repeat(np.arange(40), 6), np.tile([0, 0, 0, 1, 1, 1], 40)
    for _ in range(400):
        answers = []
        for _ in range(2):
            shift = 2.0 * rng.normal(0, 1, (5, 40))[:, units] * np.where(labels == 0, 1.0, -1.0)
            logit = 1.0 + rng.normal(0, 1, 40)[units] + shift + rng.normal(0, 0.5, (5, 1))
            answers.append(rng.random((5, 240)) < 1 / (1 + np.exp(-logit)))
        found = contrast((answers[0], answers[1]), labels, units)
        covered += found.low <= 0.0 <= found.high
    assert covered / 400 > 0.92


def test_a_class_of_one_unit_takes_the_variance_over_all_units() -> None:
    units = np.where(LABELS == 2, 99, NESTED)
    answers = draw(5, NESTED), draw(6, NESTED)
    one, other = make_sides(answers, LABELS, units)
    parts, freedom = split_image_variance(one, other)
    d = (one.answers.means - other.answers.means) / 3
    means = [d[units == u].mean() for u in np.unique(units)]
    assert (parts[2], parts[3]) == (0.0, pytest.approx(np.var(means, ddof=1)))
    assert freedom[3] == len(means) - 1
    assert contrast(answers, LABELS, units).standard_error > contrast(answers, LABELS, NESTED).standard_error


def test_arms_that_agree_have_the_width_of_one_image() -> None:
    answers = draw(7, NESTED, seeds=1)
    found = contrast((answers, answers), None, NESTED)
    assert found.estimate == 0 and found.standard_error == pytest.approx(1 / 50)


def test_one_unit_has_no_interval() -> None:
    with pytest.raises(ValueError, match="two images, of two units"):
        contrast((draw(1, NESTED), draw(2, NESTED)), None, np.zeros(50, int))


def test_a_comparison_and_paired_answers_use_them() -> None:
    answers = {"a": draw(1, NESTED), "b": draw(2, NESTED)}
    found = Comparison(answers, LABELS, units=NESTED).differ("a", "b", "balanced_accuracy", tail=TAIL)
    assert found == contrast((answers["a"], answers["b"]), LABELS, NESTED)
    paired = [
        compare_paired(answers["a"], answers["b"], LABELS, "accuracy", tail=TAIL, units=units)
        for units in (NESTED, None)
    ]
    assert paired[0].standard_error > paired[1].standard_error


@pytest.mark.parametrize("metric", ["accuracy", "balanced_accuracy", "worst_class"])
def test_units_and_folds_go_together(metric: Any) -> None:
    """Three copies of every image say no more than the images, in any metric and over folds."""
    arms, lowest, folds = {"a": draw(1, NESTED), "b": draw(2, NESTED)}, {"a": 2, "b": 2}, np.arange(50) % 3
    copied = {arm: np.repeat(answers, 3, axis=1) for arm, answers in arms.items()}
    once = Comparison(arms, LABELS, lowest=lowest, folds=folds, units=np.arange(50))
    again = Comparison(
        copied, np.repeat(LABELS, 3), lowest=lowest, folds=np.repeat(folds, 3), units=np.repeat(np.arange(50), 3)
    )
    one, other = (comparison.differ("a", "b", metric, tail=TAIL) for comparison in (once, again))
    for key in ("estimate", "low", "high", "df"):
        assert getattr(other, key) == pytest.approx(getattr(one, key), rel=1e-9)


def test_a_verdict_says_of_how_many_groups_its_images_are() -> None:
    correct = {"real": draw(1, NESTED, seeds=5), "expanded": draw(2, NESTED, seeds=5)}
    kinds: dict[str, Kind] = {"real": "baseline", "expanded": "expanded"}

    def judge(units: IntArray | None) -> Any:
        validation = {"real": 0.7, "expanded": 0.7}
        budget = Budget(100, 16, None, None)
        return decide(
            correct, kinds, validation, LABELS, ["a", "b", "c"], metric="accuracy", budget=budget, units=units
        )

    found, plain = judge(NESTED), judge(None)
    assert "on 50 test images of 16 groups over 5 seeds" in found.sentence and found.to_dict()["test_groups"] == 16
    assert "on 50 test images over 5 seeds" in plain.sentence and "test_groups" not in plain.to_dict()
    assert found.contrasts[0].difference.standard_error > plain.contrasts[0].difference.standard_error
