"""The differences between arms that a decision needs, with limits that hold although validation picked two of the arms.

Who meets: the challenger and every baseline, every expanded arm and the picked baseline. Where the limit of an
interval would profit from a picked arm's lucky seeds (the lower one from the challenger's, the upper one from the
baseline's), it is set farther off (`luck`). Rivals are the arms of the same kind that the test images do not show to be
worse than the picked one, and very clearly so: luck of the picked one makes all others look worse. Those that are could
not have been picked by luck.

It does not know what follows from the differences.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ops.recipe.design import Metric
from ops.verdict.comparison import Comparison
from ops.verdict.luck import adjust_tail, measure_leak
from ops.verdict.meeting import Meeting
from ops.verdict.records import Contrast

# The tail area at which an arm counts as worse than the picked one, and not as a rival.
CLEARLY = 0.001


def contrast_arms(meeting: Meeting, metric: Metric, *, tail: float) -> list[Contrast]:
    """All differences that the rule needs, the decisive one first, with `tail` beyond each limit."""
    comparison, picks = meeting.comparison, meeting.picks
    near_baselines = _find_near(comparison, picks.baselines, picks.baseline, metric)
    near_expanded = _find_near(comparison, picks.expanded, picks.challenger, metric)
    meetings = [(picks.challenger, picks.baseline)]
    meetings += [(picks.challenger, arm) for arm in picks.baselines if arm != picks.baseline]
    meetings += [(arm, picks.baseline) for arm in picks.expanded if arm != picks.challenger]
    contrasts: list[Contrast] = []
    for arm, against in meetings:
        low, high = (
            tail if picked != side else _adjust(meeting, (arm, against), near, metric, tail=tail)
            for picked, side, near in (
                (picks.challenger, arm, near_expanded),
                (picks.baseline, against, near_baselines),
            )
        )
        gap = comparison.differ(arm, against, metric, tail=tail)
        gap = replace(
            gap,
            low=comparison.differ(arm, against, metric, tail=low).low,
            high=comparison.differ(arm, against, metric, tail=high).high,
        )
        contrasts.append(Contrast(arm, against, "condition" if contrasts else "decisive", gap))
    return contrasts


def _find_near(comparison: Comparison, arms: Sequence[str], picked: str, metric: Metric) -> list[str]:
    """The picked arm, and those that are not clearly below it."""
    others = (arm for arm in arms if arm != picked)
    return [picked, *(arm for arm in others if comparison.differ(arm, picked, metric, tail=CLEARLY).high > 0)]


def _adjust(meeting: Meeting, pair: tuple[str, str], near: Sequence[str], metric: Metric, *, tail: float) -> float:
    """The tail area for the limit that profits from the luck of near[0], one of `pair`."""
    seeds, validation_images = meeting.seeds, meeting.picks.validation_images
    own, *others = (seeds.vary_replicates(arm, metric) for arm in near)
    # Five seeds say little about how an arm's seeds vary; what its rivals' do is no smaller a guess.
    luck = max(own, (own + sum(others)) / len(near))
    ratio = 0.0 if validation_images is None else seeds.images / validation_images
    leak = measure_leak(luck, seeds.vary_images(*pair, metric), meeting.comparison.vary(*pair, metric), ratio)
    return adjust_tail(tail, len(near) - 1, round(leak, 3))
