"""Accuracy against steps of the two arms that meet: whether training still gained, and how they stand at equal compute.

Scores come from validation images. A point is a training of its own of so many steps, because a checkpoint of a longer
schedule is no shorter training. A gain counts if it is larger than the standard error of the paired answers, the rule
by which lengths are chosen elsewhere (`ops.tuning.lengths`). Nothing here decides anything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ops.recipe.design import Metric
from ops.statistics.paired import find_cautious_error, sum_draws, sum_points
from ops.verdict.estimate import BoolArray, IntArray
from ops.verdict.metric import weigh_images
from ops.verdict.points import choose_decimals

ALIKE = 1.02  # totals of compute that differ by less are equal


@dataclass(frozen=True)
class CurvePoint:
    """An arm after trainings of `steps`; scores in 0..1, `validation` is the mean over seeds.

    gain: over the shorter length before, with the standard error of the paired answers; both None for the shortest.
    """

    arm: str
    kind: str
    steps: int
    validation: float
    per_seed: dict[str, float]
    gain: float | None
    gain_error: float | None


@dataclass(frozen=True)
class Curve:
    """metric: of the scores. points: by arm, baseline first, each arm's shortest length first.

    equal_compute: how the arms stand at equal compute; None where both spent the same.
    """

    metric: Metric
    seeds: int
    points: list[CurvePoint]
    sentence: str
    equal_compute: str | None

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def list_lengths(steps: int) -> list[int]:
    """The shorter lengths beside `steps`: a quarter and a half, at least one step each.

    >>> list_lengths(400), list_lengths(3), list_lengths(1)
    ([100, 200], [1], [])
    """
    return sorted({length for length in (steps // 4, steps // 2) if 0 < length < steps})


def trace_arm(
    arm: str,
    kind: str,
    answers: Mapping[int, Mapping[int, BoolArray]],
    labels: IntArray,
    metric: Metric,
    units: IntArray | None = None,
) -> list[CurvePoint]:
    """The points of an arm, from whether its networks were right: bool [n] by steps and seed, with the same seeds.

    metric: accuracy or balanced_accuracy. units: int [n], equal for images that are one draw.
    """
    weights, points, before = weigh_images(labels, metric), list[CurvePoint](), None
    for steps, by_seed in sorted(answers.items()):
        credits = sum_draws(weights * np.mean(list(by_seed.values()), axis=0, dtype=np.float64), units)
        change = None if before is None else credits - before
        points.append(
            CurvePoint(
                arm,
                kind,
                steps,
                float(credits.sum()),
                {str(seed): float(correct @ weights) for seed, correct in by_seed.items()},
                None if change is None else sum_points(change),
                None if change is None else find_cautious_error(change),
            )
        )
        before = credits
    return points


def describe_curve(
    points: Sequence[CurvePoint], metric: Metric, costs: Mapping[str, float], *, baseline: str, challenger: str | None
) -> Curve:
    """The curve of the baseline and, where generated images were used, the challenger.

    costs: of a step of each arm, in plain steps.
    """
    equal = None if challenger is None else compare_at_equal_compute(points, costs, baseline, challenger)
    return Curve(metric, len(points[0].per_seed), list(points), write_sentence(points), equal)


def write_sentence(points: Sequence[CurvePoint]) -> str:
    """Whether training still gained between the last two lengths of each arm that takes steps, in one sentence."""
    last: dict[str, list[CurvePoint]] = {}
    for point in points:
        last[point.arm] = [*last.get(point.arm, []), point][-2:]
    last = {arm: pair for arm, pair in last.items() if pair[-1].steps}
    if not last:
        return "No arm that is compared takes steps."
    if any(len(pair) < 2 for pair in last.values()):
        return "So few steps have no shorter length to compare with."
    ends = {arm: (pair[1].gain or 0.0, pair[1].gain_error or 0.0) for arm, pair in last.items()}
    decimals = choose_decimals(*(gain for gain, _ in ends.values()))
    told, spans = [], dict[tuple[int, int], list[str]]()
    for arm, (gain, error) in ends.items():
        verb = "lost" if gain < 0 else "gained"
        spans.setdefault((last[arm][0].steps, last[arm][1].steps), []).append(
            f"{arm} {verb} {100 * abs(gain):.{decimals}f} points (standard error {100 * error:.{decimals}f})"
        )
    for (shorter, longer), gains in spans.items():
        told.append(f"from {shorter:,} to {longer:,} steps {' and '.join(gains)}")
    growing = [arm for arm, (gain, error) in ends.items() if gain > error]
    text = ", ".join(told)
    return f"{text[0].upper()}{text[1:]} on validation: {_conclude(growing, list(ends))}."


def _conclude(growing: Sequence[str], arms: Sequence[str]) -> str:
    if not growing:
        stopped = "neither gains" if len(arms) == 2 else "it no longer gains"
        return f"{stopped} more than its standard error, so training has about stopped gaining"
    if len(arms) == 1:
        return "it still gains"
    who = "both still gain" if len(growing) == 2 else f"{growing[0]} still gains"
    return f"{who}, so a longer training could change the verdict"


def compare_at_equal_compute(
    points: Sequence[CurvePoint], costs: Mapping[str, float], baseline: str, challenger: str
) -> str | None:
    """How the arms stand where both may spend what the cheaper one spent, from the points that were measured.

    The dearer arm's score is interpolated on the logarithm of steps, and only between its own points. The cheaper arm
    at the compute of the dearer one lies beyond its longest training, so only the steps that it would take are told.
    None where both spend the same, or one of them takes no steps.
    """
    own = {arm: [point for point in points if point.arm == arm] for arm in (baseline, challenger)}
    spent = {arm: costs[arm] * found[-1].steps for arm, found in own.items()}
    if not all(spent.values()):
        return None
    cheap, dear = sorted((baseline, challenger), key=lambda arm: spent[arm])
    if spent[dear] <= ALIKE * spent[cheap]:
        return None
    steps, times = spent[cheap] / costs[dear], spent[dear] / spent[cheap]
    more = f"{cheap} would take {round(spent[dear] / costs[cheap]):,} steps for the compute of {dear}"
    begin = f"By evaluations of the network, training {dear} took {times:.2g} times the compute of {cheap}"
    measured = own[dear]
    if steps < measured[0].steps:
        return (
            f"{begin}. With as much as {cheap}, {dear} would take {steps:,.0f} steps; the fewest that were measured are"
            f" {measured[0].steps:,}. {more}; the most that were measured are {own[cheap][-1].steps:,}."
        )
    lead = {cheap: own[cheap][-1].validation, dear: interpolate(measured, steps)}
    gap = lead[challenger] - lead[baseline]
    stands = f"{100 * abs(gap):.{choose_decimals(gap)}f} points {'above' if gap > 0 else 'below'}"
    return (
        f"{begin}. With as much as {cheap}, {dear} would take {steps:,.0f} steps; its curve lies at"
        f" {100 * lead[dear]:.1f} % on validation there, and {challenger} {stands if gap else 'level with'} {baseline}."
        f" {more}; so long it was not trained."
    )


def interpolate(points: Sequence[CurvePoint], steps: float) -> float:
    """The score after so many steps, between the measured points, linear in the logarithm of steps."""
    return float(np.interp(np.log(steps), [np.log(p.steps) for p in points], [p.validation for p in points]))
