"""How many images to draw in the next round, so that every unit ends with the accepted images that it needs.

The first round draws what the plan says. Each later one looks at what was accepted so far and draws, for the units
that are short, what their acceptance rate calls for, erring on the high side; a unit is done when its quota is filled,
its budget of draws is spent, or a round brought it nothing. A unit is a class or a seed image (`ops.generators.units`).
It knows neither images nor filters.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from ops.generators.units import Unit
from ops.planning.plan import ExpansionPlan
from ops.statistics.proportions import estimate_share

Stop = Literal["quota", "budget", "stall", "rounds"]

SURENESS = 0.68  # confidence of the interval whose lower end a round is planned for: about one standard error
GROWTH = 4  # times as many images of a unit as all rounds before drew: a rate known from few draws misleads
HOPELESS = 50  # draws of a unit in a round of which none was accepted: the next would fare no better


@dataclass(frozen=True)
class Quota:
    """One unit: accepted images wanted, images that the first round draws, and images that all rounds may draw."""

    wanted: int
    drawn: int
    limit: int


@dataclass(frozen=True)
class Round:
    """One round: images drawn of each unit, and of them those that pass every filter."""

    drawn: tuple[int, ...]
    accepted: tuple[int, ...]

    def to_dict(self) -> dict[str, Any]:
        return {"drawn": list(self.drawn), "accepted": list(self.accepted)}


def share_plan(plan: ExpansionPlan, units: Sequence[Unit]) -> tuple[Quota, ...]:
    """The quota of each unit, from its class's numbers.

    What the class wants is shared to within one, the first units getting more. What it draws and may draw is shared in
    proportion to that, so nothing is drawn of a unit that wants nothing. A unit's shortfall stays: where its budget is
    spent, no other unit of its class makes up for it, because images are kept by the quota of their own unit.

    ValueError where a class that is to grow has no unit.
    """
    members: dict[int, list[int]] = defaultdict(list)
    for place, unit in enumerate(units):
        members[unit.label].append(place)
    quotas = [Quota(0, 0, 0)] * len(units)
    for label, entry in enumerate(plan.classes):
        places = members[label]
        if entry.drawn and not places:
            raise ValueError(f"class '{entry.name}' is to grow, and there is nothing to draw it from")
        for rank, place in enumerate(places[: entry.wanted]):
            share = partial(_deal, wanted=entry.wanted, members=min(entry.wanted, len(places)), rank=rank)
            quotas[place] = Quota(share(entry.wanted), share(entry.drawn), share(entry.limit))
    return tuple(quotas)


def plan_round(quotas: Sequence[Quota], rounds: Sequence[Round], most: int) -> tuple[int, ...]:
    """Images to draw of each unit in the round after `rounds`, of `most` rounds; all 0 when it is over."""
    if not rounds:
        return tuple(quota.drawn for quota in quotas)
    if len(rounds) >= most:
        return (0,) * len(quotas)
    return tuple(_plan_unit(quota, place, rounds) for place, quota in enumerate(quotas))


def explain_stops(quotas: Sequence[Quota], rounds: Sequence[Round]) -> list[Stop]:
    """Why each unit got no further round, `rounds` being all there were; one word a unit.

    quota: it has what it wants. stall: the last round that drew it brought nothing. budget: it may draw no more.
    rounds: it was short when the last allowed round ended.
    """
    return [_explain_unit(quota, place, rounds) for place, quota in enumerate(quotas)]


def join_stops(stops: Sequence[Stop], units: Sequence[Unit], classes: int) -> list[Stop]:
    """One word a class: `quota` where all its units have what they want, else the commonest word of the others."""
    joined: list[Stop] = []
    for label in range(classes):
        own = Counter(stop for stop, unit in zip(stops, units, strict=True) if unit.label == label and stop != "quota")
        joined.append(own.most_common(1)[0][0] if own else "quota")
    return joined


def bound_rate(accepted: int, drawn: int) -> float:
    """A rate that the next draws will rather exceed: the lower end of its interval; 0 where none was drawn."""
    return estimate_share(accepted, drawn, SURENESS).low if drawn else 0.0


def _share(total: int, members: int, rank: int) -> int:
    """What the member of this rank, from 0, gets of a total that is shared to within one."""
    return total // members + (rank < total % members)


def _deal(total: int, *, wanted: int, members: int, rank: int) -> int:
    """What the member of this rank gets of a total that is shared in proportion to shares of `wanted`, 1 or more.

    These shares are dealt as often as the total holds `wanted`, and the rest to within one. So a larger total gives no
    member less, and the total `wanted` gives each what it wants.
    """
    times, rest = divmod(total, wanted)
    return times * _share(wanted, members, rank) + _share(rest, members, rank)


def _plan_unit(quota: Quota, place: int, rounds: Sequence[Round]) -> int:
    drawn, accepted = _count(place, rounds)
    missing, left = quota.wanted - accepted, quota.limit - drawn
    if missing <= 0 or left <= 0 or _stalls(place, rounds):
        return 0
    rate = bound_rate(accepted, drawn)
    most = min(left, GROWTH * drawn)
    return most if rate == 0 else min(most, math.ceil(missing / rate))


def _explain_unit(quota: Quota, place: int, rounds: Sequence[Round]) -> Stop:
    drawn, accepted = _count(place, rounds)
    if accepted >= quota.wanted:
        return "quota"
    if drawn >= quota.limit:
        return "budget"
    return "stall" if _stalls(place, rounds) else "rounds"


def _count(place: int, rounds: Sequence[Round]) -> tuple[int, int]:
    """Images of a unit drawn and accepted in all rounds."""
    return sum(r.drawn[place] for r in rounds), sum(r.accepted[place] for r in rounds)


def _stalls(place: int, rounds: Sequence[Round]) -> bool:
    """Whether the last round that drew the unit drew many and accepted none."""
    last = next((r for r in reversed(rounds) if r.drawn[place]), None)
    return last is not None and last.accepted[place] == 0 and last.drawn[place] >= HOPELESS
