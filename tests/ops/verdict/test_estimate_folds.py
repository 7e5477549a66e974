"""Intervals over folds: the closed form beside plain loops, its limits, and what it must not depend on."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ops.verdict.comparison import Comparison
from ops.verdict.decision import decide
from ops.verdict.estimate import (
    OVERLAP,
    BoolArray,
    Interval,
    Side,
    estimate_contrast,
    find_critical,
    reduce_answers,
    score_folds,
    split_image_variance,
)
from ops.verdict.image_groups import group_images
from ops.verdict.records import Budget, Kind

TAIL, IMAGES, FOLDS = 0.025, 60, 4
LABELS = np.arange(IMAGES) % 3
MEMBERS = (np.arange(IMAGES) // 3) % FOLDS + 1


def draw(seed: int, *, fold_sd: float = 0.0, seeds: int = 3, chance: float = 0.7) -> BoolArray:
    """Answers of networks whose folds differ by `fold_sd` on the scale of logits."""
    rng = np.random.default_rng(seed)
    logit = np.log(chance / (1 - chance)) + rng.normal(0, 1, IMAGES) + rng.normal(0, fold_sd, FOLDS)[MEMBERS - 1]
    return rng.random((seeds, IMAGES)) < 1 / (1 + np.exp(-logit))


def make_sides(plus: Any, minus: Any, folds: Any, labels: Any = None) -> tuple[Side, Side]:
    groups = group_images(labels, IMAGES, folds)
    weights = np.full(len(groups.counts), 1 / len(groups.counts))
    one, other = (Side(groups, reduce_answers(answers, groups), weights) for answers in (plus, minus))
    return one, other


def contrast(plus: Any, minus: Any, folds: Any, labels: Any = None) -> Interval:
    return estimate_contrast(*make_sides(plus, minus, folds, labels), tail=TAIL)


def loop(plus: BoolArray, minus: BoolArray, by_class: bool) -> tuple[float, float]:
    """V' and df of the docstring in plain Python."""
    classes = sorted(set(LABELS.tolist())) if by_class else [None]
    w = 1 / len(classes)

    def vary(values: list[float]) -> float:
        mean = sum(values) / len(values)
        return sum((v - mean) ** 2 for v in values) / (len(values) - 1)

    def rows(c: int | None, fold: int | None = None) -> list[int]:
        return [i for i in range(IMAGES) if (c is None or LABELS[i] == c) and (fold is None or MEMBERS[i] == fold)]

    seeds = len(plus)
    image = information = 0.0
    for c in classes:
        d = [w * (float(plus[:, i].mean()) - float(minus[:, i].mean())) for i in rows(c)]
        image += vary(d) / len(d)
        information += (vary(d) / len(d)) ** 2 / (len(d) - 1)
    excess_of_seeds = 0.0
    for answers in (plus, minus):
        s2 = sum(
            vary(
                [sum(w * sum(float(row[i]) for i in rows(c, fold)) / len(rows(c)) for c in classes) for row in answers]
            )
            for fold in range(1, FOLDS + 1)
        )
        e2 = sum(
            w**2 * np.mean([vary([float(row[i]) for row in answers]) for i in rows(c)]) / len(rows(c)) for c in classes
        )
        excess_of_seeds += (s2 - e2) / seeds
        information += (s2 / seeds) ** 2 / (FOLDS * (seeds - 1))
    variance = image + max(0.0, float(excess_of_seeds))
    scores = [
        sum(w * np.mean([plus[:, i].mean() - minus[:, i].mean() for i in rows(c, fold)]) for c in classes)
        for fold in range(1, FOLDS + 1)
    ]
    excess = max(0.0, vary([float(score) for score in scores]) - FOLDS * variance)
    part = (1 / FOLDS + 1 / (FOLDS - 1)) * excess
    shared = 2.0 if by_class else 1.25
    total = shared * variance + part
    return total, total**2 / (shared**2 * information + part**2 / (FOLDS - 1))


@pytest.mark.parametrize("by_class", [False, True])
@pytest.mark.parametrize("fold_sd", [0.0, 3.0])
def test_the_closed_form_equals_plain_loops(by_class: bool, fold_sd: float) -> None:
    plus, minus = draw(1, fold_sd=fold_sd), draw(2, fold_sd=fold_sd)
    found = contrast(plus, minus, MEMBERS, LABELS if by_class else None)
    variance, df = loop(plus, minus, by_class)
    assert found.df is not None
    assert found.standard_error**2 == pytest.approx(variance)
    assert found.df == pytest.approx(max(df, FOLDS - 1))
    assert found.high - found.estimate == pytest.approx(find_critical(TAIL, found.df) * found.standard_error)


def test_where_only_folds_differ_it_is_nadeau_and_bengios_variance_and_their_degrees_of_freedom() -> None:
    """Within a fold all answers are equal, so that hardly anything else varies."""
    gains = np.array([1.0, 0.0, 0.0, 1.0])
    plus = np.repeat(gains[MEMBERS - 1][None] > 0, 3, axis=0)
    found = contrast(plus, np.zeros_like(plus), MEMBERS)
    plain = contrast(plus, np.zeros_like(plus), None)
    inflation = 1 / FOLDS + 1 / (FOLDS - 1)
    corrected = gains.var(ddof=1) * inflation
    rest = plain.standard_error**2 * (FOLDS * inflation - 1.25)
    assert found.standard_error**2 == pytest.approx(corrected - rest)
    assert rest < 0.1 * corrected
    assert found.df == pytest.approx(FOLDS - 1, rel=0.2)


def test_where_folds_differ_less_than_images_and_seeds_explain_the_interval_is_theirs() -> None:
    rng = np.random.default_rng(0)
    half = rng.random((3, IMAGES // FOLDS)) < 0.5
    plus = np.empty((3, IMAGES), dtype=np.bool_)
    for fold in range(1, FOLDS + 1):
        plus[:, fold == MEMBERS] = half  # the same score in every fold
    minus = np.zeros_like(plus)
    found = contrast(plus, minus, MEMBERS)
    side, other = make_sides(plus, minus, MEMBERS)
    assert score_folds(side, other).std() == 0
    assert (side.answers.replicates, side.answers.freedom) == (3, 2 * FOLDS)
    between, inside = side.spread
    plain = split_image_variance(side, other)[0].sum() + max(0.0, between - inside)
    assert found.standard_error**2 == pytest.approx((1 + OVERLAP) * plain)
    assert found.df is not None and found.df > 2 * FOLDS


def test_the_order_of_images_and_the_numbers_of_folds_have_no_effect() -> None:
    plus, minus = draw(3, fold_sd=2.0), draw(4, fold_sd=2.0)
    order = np.random.default_rng(0).permutation(IMAGES)
    one = contrast(plus, minus, MEMBERS, LABELS)
    other = contrast(plus[:, order], minus[:, order], 10 * MEMBERS[order], LABELS[order])
    assert [other.estimate, other.low, other.high] == pytest.approx([one.estimate, one.low, one.high])


def test_a_class_that_a_fold_lacks_counts_there_with_its_mean() -> None:
    plus = draw(5)
    labels = np.where(MEMBERS == 1, 0, LABELS)
    scores = score_folds(*make_sides(plus, np.zeros_like(plus), MEMBERS, labels))
    means = [plus[:, labels == c].mean() for c in range(3)]
    first = [plus[:, (labels == 0) & (MEMBERS == 1)].mean(), means[1], means[2]]
    assert scores[0] == pytest.approx(np.mean(first))


def test_folds_that_were_not_made_are_refused() -> None:
    with pytest.raises(ValueError, match="not divided into folds"):
        score_folds(*make_sides(draw(1), draw(2), None))


def judge(seeds: int, folds: Any = MEMBERS, lead: float = 0.3, **more: Any) -> Any:
    rng = np.random.default_rng(0)
    draws = rng.random((seeds, IMAGES))
    kinds: dict[str, Kind] = {"real": "baseline", "grown": "expanded"}
    return decide(
        {"real": draws < 0.5, "grown": draws < 0.5 + lead},
        kinds,
        {"real": 0.5, "grown": 0.6},
        LABELS,
        ["a", "b", "c"],
        metric="accuracy",
        budget=Budget(10, 8),
        folds=folds,
        **more,
    )


def test_trainings_of_all_folds_count_together_and_the_sentence_names_them() -> None:
    decided = judge(2)
    assert (decided.decision, decided.folds, decided.seeds, decided.trainings) == ("helps", FOLDS, 2, 8)
    assert "over 4 folds with 2 seeds each" in decided.sentence
    assert "for new training images and another generator of this recipe" in decided.sentence
    few = judge(1)
    assert (few.decision, few.trainings) == ("no evidence", 4)
    assert "4 trainings cannot decide, at least 5 do" in few.sentence
    assert judge(2, folds=None).decision == "no evidence"
    assert "folds" not in judge(5, folds=None).to_dict()
    assert judge(2).to_dict()["folds"] == FOLDS
    assert "over 4 folds (3 of them without generated images) with 2" in judge(2, unused_folds=3).sentence


def test_scores_of_folds_average_to_the_arms_difference_where_folds_are_equally_large() -> None:
    plus, minus = draw(6, fold_sd=1.0), draw(7, fold_sd=1.0)
    comparison = Comparison({"a": plus, "b": minus}, LABELS, folds=MEMBERS)
    for metric in ("accuracy", "balanced_accuracy"):
        parts = comparison.differ_in_folds("a", "b", metric)
        assert parts.shape == (FOLDS,)
        assert parts.mean() == pytest.approx(comparison.differ("a", "b", metric, tail=TAIL).estimate)
        alone = comparison.differ_in_folds("a", None, metric) - comparison.differ_in_folds("b", None, metric)
        assert parts == pytest.approx(alone)
