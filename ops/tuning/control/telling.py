"""The controller's log lines and its sentence for the report; nothing is decided here."""

from __future__ import annotations

from ops.recipe.arms import AUTO, Arm
from ops.recipe.control import Schedule
from ops.tuning.control.decision import Decision
from ops.tuning.control.race import Halving
from ops.tuning.control.start import Choice, Quality, Start


def describe_start(start: Start, arm: Arm, *, real: int, generated: int, quality: Quality) -> str:
    """`starts at strength 1, N 12.3: 100 real and 200 generated images count as 220 real ones; a classifier …`."""
    at = [f"strength {start.strength:.3g}"] * (arm.strength == AUTO)
    if arm.real_weight == AUTO and start.real_weight is not None:
        at.append(f"N {start.real_weight:.3g}")
    if generated == 0:
        return f"starts at {', '.join(at)}: {real:,} real images"
    told = [f"{real:,} real and {generated:,} generated images count as {round(start.images):,} real ones"]
    if quality.accuracy is not None:
        told.append(
            f"a classifier tells them apart with {100 * quality.accuracy:.0f} %, so their total variation is at least"
            f" {quality.variation:.2f}"
        )
    if quality.frechet is not None and quality.reference is not None:
        told.append(f"Fréchet distance {quality.frechet:.3g}, of real images {quality.reference:.3g}")
    return f"starts at {', '.join(at)}: {'; '.join(told)}"


def describe_rounds(halving: Halving, schedule: Schedule) -> str:
    """`after 85 steps strength 1 71.2 %, strength 0.5 70.4 %; after 170 steps strength 1 75.0 %`."""
    parts = []
    for number, each in enumerate(schedule.rounds):
        scores = [
            f"{choice.name} {100 * found[number]:.1f} %"
            for choice, found in halving.scores.items()
            if len(found) > number
        ]
        parts.append(f"after {each.steps:,} steps {', '.join(scores)}")
    return "; ".join(parts)


def describe_best(name: str, winner: Choice, schedule: Schedule) -> str:
    """The sentence for an arm that only chooses among its settings."""
    return f"{name} takes {winner.name}, the best of {schedule.contenders} settings on validation"


def describe_decision(name: str, real: Choice, inflated: Choice, decision: Decision, schedule: Schedule) -> str:
    """The sentence for an arm that may leave out its generated images: what it does, and why."""
    deciding, low = schedule.deciding, 100 * decision.low
    better = f"{abs(100 * decision.gain):.1f} points {'better' if decision.gain >= 0 else 'worse'}"
    limit = f"at least {low:.1f} better" if low > 0 else f"perhaps {abs(low):.1f} worse"
    compared = (
        f"with them {inflated.name} is {better} on validation than {real.name} without, with 95 % confidence {limit}"
        f" ({deciding.seeds} fresh seeds of {deciding.steps:,} steps each)"
    )
    if decision.uses_generated:
        return f"{name} uses its generated images: {compared}"
    return f"{name} leaves out its generated images, and learns from real ones at {real.name}: {compared}"
