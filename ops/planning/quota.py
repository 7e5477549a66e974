"""How many images to draw in the next round, so that every class ends with the accepted images that it needs.

The first round draws what the plan says. Each later one looks at what was accepted so far and draws, for the classes
that are short, what their acceptance rate calls for, rather a little more than too little; a class is done when its
quota is filled, its budget of draws is spent, or a round brought it nothing. It knows neither images nor filters.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from ops.planning.plan import ClassPlan, ExpansionPlan
from ops.statistics.proportions import estimate_share

Stop = Literal["quota", "budget", "stall", "rounds"]

SURENESS = 0.68  # confidence of the interval whose lower end a round is planned for: about one standard error
GROWTH = 4  # times as many images of a class as all rounds before drew: a rate known from few draws misleads
HOPELESS = 50  # draws of a class in a round of which none was accepted: the next would fare no better


@dataclass(frozen=True)
class Round:
    """One round: images drawn of each class, and of them those that pass every filter."""

    drawn: tuple[int, ...]
    accepted: tuple[int, ...]

    def to_dict(self) -> dict[str, Any]:
        return {"drawn": list(self.drawn), "accepted": list(self.accepted)}


def plan_round(plan: ExpansionPlan, rounds: Sequence[Round]) -> tuple[int, ...]:
    """Images to draw of each class in the round after `rounds`; all 0 when it is over."""
    if not rounds:
        return tuple(entry.drawn for entry in plan.classes)
    if len(rounds) >= plan.rounds:
        return (0,) * len(plan.classes)
    return tuple(_plan_class(entry, label, rounds) for label, entry in enumerate(plan.classes))


def explain_stops(plan: ExpansionPlan, rounds: Sequence[Round]) -> list[Stop]:
    """Why each class got no further round, `rounds` being all there were; one word a class.

    quota: it has what it wants. stall: the last round that drew it brought nothing. budget: it may draw no more.
    rounds: it was short when the last allowed round ended.
    """
    return [_explain_class(entry, label, rounds) for label, entry in enumerate(plan.classes)]


def bound_rate(accepted: int, drawn: int) -> float:
    """A rate that the next draws will rather exceed: the lower end of its interval; 0 where none was drawn."""
    return estimate_share(accepted, drawn, SURENESS).low if drawn else 0.0


def _plan_class(entry: ClassPlan, label: int, rounds: Sequence[Round]) -> int:
    drawn, accepted = _count(label, rounds)
    missing, left = entry.wanted - accepted, entry.limit - drawn
    if missing <= 0 or left <= 0 or _stalls(label, rounds):
        return 0
    rate = bound_rate(accepted, drawn)
    most = min(left, GROWTH * drawn)
    return most if rate == 0 else min(most, math.ceil(missing / rate))


def _explain_class(entry: ClassPlan, label: int, rounds: Sequence[Round]) -> Stop:
    drawn, accepted = _count(label, rounds)
    if accepted >= entry.wanted:
        return "quota"
    if drawn >= entry.limit:
        return "budget"
    return "stall" if _stalls(label, rounds) else "rounds"


def _count(label: int, rounds: Sequence[Round]) -> tuple[int, int]:
    """Images of a class drawn and accepted in all rounds."""
    return sum(r.drawn[label] for r in rounds), sum(r.accepted[label] for r in rounds)


def _stalls(label: int, rounds: Sequence[Round]) -> bool:
    """Whether the last round that drew the class drew many and accepted none."""
    last = next((r for r in reversed(rounds) if r.drawn[label]), None)
    return last is not None and last.accepted[label] == 0 and last.drawn[label] >= HOPELESS
