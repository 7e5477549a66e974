"""The differences between arms that a decision needs, with limits that hold although validation picked two of the arms.

Compared are the challenger with every baseline, and every expanded arm with the picked baseline. A picked arm's lucky
seeds shift a limit in its favour: the challenger's shift the lower limit, the baseline's the upper one. Such a limit is
set farther off (`selection_bias`). Rivals are the arms of the same kind that the test images do not show to be very
clearly worse than the picked arm. The bar is that high because the luck of the picked arm makes all others look worse.
Arms below it could not have been picked by luck.

The module does not know what follows from the differences.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from ops.recipe.design import Metric
from ops.verdict.comparison import Comparison
from ops.verdict.estimate import Interval
from ops.verdict.picks import ComparisonSetup
from ops.verdict.records import Contrast
from ops.verdict.selection_bias import adjust_tail, measure_leak

# The tail area at which an arm counts as worse than the picked one, and not as a rival.
CLEARLY_WORSE = 0.001


def contrast_arms(setup: ComparisonSetup, metric: Metric, *, tail: float) -> list[Contrast]:
    """All differences that the rule needs, the decisive one first, with tail area `tail` beyond each limit."""
    comparison, picks = setup.comparison, setup.picks
    near = {
        picks.baseline: find_near(comparison, picks.baselines, picks.baseline, metric),
        picks.challenger: find_near(comparison, picks.expanded, picks.challenger, metric),
    }
    pairs = [(picks.challenger, picks.baseline)]
    pairs += [(picks.challenger, arm) for arm in picks.baselines if arm != picks.baseline]
    pairs += [(arm, picks.baseline) for arm in picks.expanded if arm != picks.challenger]
    contrasts: list[Contrast] = []
    for arm, against in pairs:
        gap = differ_picked(setup, arm, against, near, metric, tail=tail)
        contrasts.append(Contrast(arm, against, "condition" if contrasts else "decisive", gap))
    return contrasts


def differ_picked(
    setup: ComparisonSetup, arm: str, against: str, near: Mapping[str, Sequence[str]], metric: Metric, *, tail: float
) -> Interval:
    """Score of `arm` minus that of `against`, with limits that allow for the luck of either that validation picked.

    near: by picked arm what `find_near` says; an arm that is not there was not picked.
    """
    comparison = setup.comparison
    low, high = (
        _adjust(setup, (arm, against), near[side], metric, tail=tail) if side in near else tail
        for side in (arm, against)
    )
    return replace(
        comparison.differ(arm, against, metric, tail=tail),
        low=comparison.differ(arm, against, metric, tail=low).low,
        high=comparison.differ(arm, against, metric, tail=high).high,
    )


def find_near(comparison: Comparison, arms: Sequence[str], picked: str, metric: Metric) -> list[str]:
    """The picked arm and its rivals: those of `arms` that are not clearly below it."""
    others = (arm for arm in arms if arm != picked)
    return [picked, *(arm for arm in others if comparison.differ(arm, picked, metric, tail=CLEARLY_WORSE).high > 0)]


def _adjust(
    setup: ComparisonSetup, pair: tuple[str, str], near: Sequence[str], metric: Metric, *, tail: float
) -> float:
    """The tail area for the limit that the luck of near[0], one of `pair`, would shift.

    In folds the validation images of one are the test images of others, so all luck of an arm may show in both: its
    seeds, and half of what else moves the difference.
    """
    seeds, validation_images = setup.seeds, setup.picks.validation_images
    own, *others = (seeds.vary_replicates(arm, metric) for arm in near)
    # Five seeds estimate an arm's seed variance poorly; the mean with its rivals is used where it is larger.
    luck = max(own, (own + sum(others)) / len(near))
    if seeds.has_folds:
        total = setup.comparison.vary(*pair, metric)
        rest = max(0.0, total - sum(seeds.vary_replicates(arm, metric) for arm in pair))
        leak = min(1.0, (luck + 0.5 * rest) / total) if total > 0.0 else 0.0
        return adjust_tail(tail, len(near) - 1, round(leak, 3))
    ratio = 0.0 if validation_images is None else seeds.images / validation_images
    leak = measure_leak(luck, seeds.vary_images(*pair, metric), setup.comparison.vary(*pair, metric), ratio)
    return adjust_tail(tail, len(near) - 1, round(leak, 3))
