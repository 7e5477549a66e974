"""Which limits are widened for the luck of a picked arm, and how far; and the bounds of the worst class, by loops."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from ops.recipe.design import Metric
from ops.verdict.comparison import Comparison
from ops.verdict.contrasts import CLEARLY_WORSE, contrast_arms
from ops.verdict.estimate import BoolArray, Interval, find_critical
from ops.verdict.picks import ComparisonSetup, Picks
from ops.verdict.records import Contrast
from ops.verdict.selection_bias import adjust_tail, measure_leak

IMAGES, TAIL = 400, 0.025
LABELS = np.arange(IMAGES) % 4


def make_arm(accuracy: float, seed: int) -> BoolArray:
    """Five seeds that vary by 3 points."""
    rng = np.random.default_rng(seed)
    shift = np.array([-0.04, -0.02, 0.0, 0.02, 0.04])[:, None]
    return rng.random((5, IMAGES)) < accuracy + shift


CORRECT = {
    "real": make_arm(0.50, 0),
    "mixup": make_arm(0.80, 1),
    "cutmix": make_arm(0.80, 2),
    "expanded": make_arm(0.79, 3),
    "weak": make_arm(0.50, 4),
}


def contrast(
    baselines: list[str], expanded: list[str], validation_images: int | None = 1000, metric: Metric = "accuracy"
) -> list[Contrast]:
    comparison = Comparison({name: CORRECT[name] for name in baselines + expanded}, LABELS)
    picks = Picks(baselines, expanded, baselines[0], expanded[0], validation_images)
    return contrast_arms(ComparisonSetup(comparison, comparison, picks), metric, tail=TAIL)


def measure_tails(gap: Interval) -> tuple[float, float]:
    assert gap.df is not None
    down, up = (abs(limit - gap.estimate) / gap.standard_error for limit in (gap.low, gap.high))
    return float(stats.t.sf(down, gap.df)), float(stats.t.sf(up, gap.df))


def test_an_arm_without_rivals_moves_no_limit() -> None:
    plain = Comparison(CORRECT, LABELS).differ("expanded", "mixup", "accuracy", tail=TAIL)
    # real and weak are so far below that they could not have been picked instead.
    assert contrast(["mixup", "real"], ["expanded", "weak"])[0].difference == plain


def test_the_limit_that_luck_of_the_pick_would_shift_is_set_farther_off() -> None:
    [decisive, other] = contrast(["mixup", "cutmix"], ["expanded"])
    low, high = measure_tails(decisive.difference)
    assert low == pytest.approx(TAIL)
    comparison = Comparison(CORRECT, LABELS)
    luck = [comparison.vary_replicates(arm, "accuracy") for arm in ("mixup", "cutmix")]
    images = comparison.vary_images("expanded", "mixup", "accuracy")
    total = decisive.difference.standard_error**2
    leak = measure_leak(max(luck[0], sum(luck) / 2), images, total, IMAGES / 1000)
    assert high == pytest.approx(adjust_tail(TAIL, 1, round(leak, 3))) and high < 0.024
    # cutmix was not picked, so its luck is not a selection effect.
    assert measure_tails(other.difference) == pytest.approx((TAIL, TAIL))
    [turned, *_] = contrast(["mixup"], ["expanded", "cutmix"])
    low, high = measure_tails(turned.difference)
    assert low < 0.024 and high == pytest.approx(TAIL)


def test_an_arm_that_looks_worse_beside_a_lucky_one_is_still_its_rival() -> None:
    def find(accuracy: float) -> tuple[Interval, float]:
        arms = {"mixup": CORRECT["mixup"], "near": make_arm(accuracy, 5), "expanded": CORRECT["expanded"]}
        comparison = Comparison(arms, LABELS)
        picks = Picks(["mixup", "near"], ["expanded"], "mixup", "expanded", 1000)
        [decisive, _] = contrast_arms(ComparisonSetup(comparison, comparison, picks), "accuracy", tail=TAIL)
        return comparison.differ("near", "mixup", "accuracy", tail=TAIL), measure_tails(decisive.difference)[1]

    behind, high = find(0.72)
    assert behind.high < 0 and high < 0.024  # worse at 95 %, but not clearly worse
    behind, high = find(0.50)
    assert behind.set_tails(TAIL, CLEARLY_WORSE).high < 0 and high == pytest.approx(TAIL)


def test_the_worst_class_has_the_same_allowance_from_the_classes_lowest_on_validation() -> None:
    lowest = {"mixup": 2, "cutmix": 1, "expanded": 0}
    comparison = Comparison({arm: CORRECT[arm] for arm in lowest}, LABELS, lowest=lowest)
    picks = Picks(["mixup", "cutmix"], ["expanded"], "mixup", "expanded", 1000)
    decisive = contrast_arms(ComparisonSetup(comparison, comparison, picks), "worst_class", tail=TAIL)[0].difference
    plain = comparison.differ("expanded", "mixup", "worst_class", tail=TAIL)
    assert decisive.low == plain.low and decisive.high > plain.high
    alone = Comparison({arm: CORRECT[arm][:, c == LABELS] for arm, c in lowest.items()}, LABELS[::4])
    luck = [alone.vary_replicates(arm, "accuracy") for arm in ("mixup", "cutmix")]
    images = sum(CORRECT[arm][:, lowest[arm] == LABELS].mean(axis=0).var(ddof=1) / 100 for arm in ("expanded", "mixup"))
    total = images + luck[0] + alone.vary_replicates("expanded", "accuracy")
    leak = measure_leak(max(luck[0], sum(luck) / 2), images, total, IMAGES / 1000)
    high = comparison.differ("expanded", "mixup", "worst_class", tail=adjust_tail(TAIL, 1, round(leak, 3))).high
    assert decisive.high == pytest.approx(high)


@pytest.mark.parametrize("metric", ["accuracy", "balanced_accuracy"])
def test_more_validation_images_show_more_of_the_luck(metric: Metric) -> None:
    highs = [contrast(["mixup", "cutmix"], ["expanded"], n, metric)[0].difference.high for n in (10, 1000, None)]
    assert highs == sorted(highs) and highs[0] < highs[2]


def test_differences_between_generators_widen_limits_but_do_not_count_as_luck_of_the_pick() -> None:
    alone = Comparison(CORRECT, LABELS)
    averaged = {**CORRECT, "expanded": np.stack([CORRECT["expanded"][:3].mean(0), CORRECT["expanded"][3:].mean(0)])}
    picks = Picks(["mixup"], ["expanded"], "mixup", "expanded", 1000)
    [found] = contrast_arms(ComparisonSetup(Comparison(averaged, LABELS), alone, picks), "accuracy", tail=TAIL)
    assert measure_tails(found.difference) == pytest.approx((TAIL, TAIL))


def test_worst_class_bounds_by_loops() -> None:
    lowest = {"mixup": 2, "expanded": 0}
    found = Comparison(CORRECT, LABELS, lowest=lowest).differ("expanded", "mixup", "worst_class", tail=TAIL)
    lows, highs = [], []
    for c in range(4):
        lows.append(bound(CORRECT["expanded"], c, CORRECT["mixup"], 2)[0])
        highs.append(bound(CORRECT["expanded"], 0, CORRECT["mixup"], c)[1])
    assert (found.low, found.high) == pytest.approx((min(lows), max(highs)))
    rates = [[CORRECT[a][:, c == LABELS].mean() for c in range(4)] for a in ("expanded", "mixup")]
    assert found.estimate == pytest.approx(min(rates[0]) - min(rates[1]))


def bound(a: BoolArray, c: int, b: BoolArray, d: int) -> tuple[float, float]:
    """The interval of a's accuracy on class c minus b's on class d."""
    left, right = a[:, c == LABELS], b[:, d == LABELS]
    if c == d:
        parts = [((left.mean(0) - right.mean(0)).var(ddof=1) / 100, 99)]
    else:
        parts = [(side.mean(0).var(ddof=1) / 100, 99) for side in (left, right)]
    seeds = [side.mean(1).var(ddof=1) / 5 for side in (left, right)]
    inside = [side.var(0, ddof=1).mean() / 500 for side in (left, right)]
    variance = sum(v for v, _ in parts) + max(0.0, sum(seeds) - sum(inside))
    df = variance**2 / (sum(v**2 / f for v, f in parts) + sum(s**2 / 4 for s in seeds))
    reach = find_critical(TAIL, df) * variance**0.5
    gap = float(left.mean() - right.mean())
    return gap - reach, gap + reach
