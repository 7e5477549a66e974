"""How many images to draw in the next round, so that every unit gets the accepted images that it needs.

The first round follows the plan. Each later round draws for the units that are short, by the acceptance rate of their
earlier rounds, erring on the high side. A unit is done when its quota is filled, its budget of draws is spent, or
none of many draws in a round was accepted. A unit is a class or a seed image (`ops.generators.units`).
This module knows neither images nor filters.
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

CONFIDENCE = 0.68  # of the acceptance rate's interval, about one standard error; a round is planned with its lower end
GROWTH = 4  # a round draws at most this many times the unit's earlier draws: a rate known from few draws misleads
STALL_DRAWS = 50  # a unit is given up if none of this many draws in a round was accepted


@dataclass(frozen=True)
class Quota:
    """One unit: accepted images wanted, images that the first round draws, and images that all rounds may draw."""

    wanted: int
    drawn: int
    limit: int


@dataclass(frozen=True)
class Round:
    """One round: images drawn of each unit, and how many of them passed every filter."""

    drawn: tuple[int, ...]
    accepted: tuple[int, ...]

    def to_dict(self) -> dict[str, Any]:
        return {"drawn": list(self.drawn), "accepted": list(self.accepted)}


def share_plan(plan: ExpansionPlan, units: Sequence[Unit]) -> tuple[Quota, ...]:
    """The quota of each unit, from its class's numbers.

    The wanted images of a class are shared evenly, to within one; the first units get more. Its draws and its limit
    are shared in proportion to that, so a unit that wants nothing is never drawn. No other unit of the class makes up
    for a unit whose budget is spent, because images are kept by the quota of their own unit.

    ValueError if a class that is to grow has no unit.
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
    """Images to draw of each unit in the round after `rounds`, of at most `most` rounds; all 0 if none is needed."""
    if not rounds:
        return tuple(quota.drawn for quota in quotas)
    if len(rounds) >= most:
        return (0,) * len(quotas)
    return tuple(_plan_unit(quota, place, rounds) for place, quota in enumerate(quotas))


def explain_stops(quotas: Sequence[Quota], rounds: Sequence[Round]) -> list[Stop]:
    """Why each unit got no further round after all `rounds`; one word per unit.

    quota: it has the images that it wants. stall: none of the many draws of its last round was accepted. budget: it
    may draw no more. rounds: it was short when the last allowed round ended.
    """
    return [_explain_unit(quota, place, rounds) for place, quota in enumerate(quotas)]


def join_stops(stops: Sequence[Stop], units: Sequence[Unit], classes: int) -> list[Stop]:
    """One word per class: `quota` if all its units are filled, else the commonest word of those that are not."""
    joined: list[Stop] = []
    for label in range(classes):
        own = Counter(stop for stop, unit in zip(stops, units, strict=True) if unit.label == label and stop != "quota")
        joined.append(own.most_common(1)[0][0] if own else "quota")
    return joined


def bound_rate(accepted: int, drawn: int) -> float:
    """A cautious acceptance rate: the lower end of its interval; 0 if nothing was drawn."""
    return estimate_share(accepted, drawn, CONFIDENCE).low if drawn else 0.0


def _share(total: int, members: int, rank: int) -> int:
    """The share of the member of this rank, from 0, in a total that is divided evenly, to within one."""
    return total // members + (rank < total % members)


def _deal(total: int, *, wanted: int, members: int, rank: int) -> int:
    """The share of the member of this rank in a total that is divided in proportion to the shares of `wanted`, >= 1.

    These shares are dealt once for each time that `wanted` fits into the total; the rest is divided evenly. So a larger
    total gives no member less, and the total `wanted` gives each member exactly its share of `wanted`.
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
    """Whether the last round that drew the unit drew STALL_DRAWS or more and accepted none."""
    last = next((r for r in reversed(rounds) if r.drawn[place]), None)
    return last is not None and last.accepted[place] == 0 and last.drawn[place] >= STALL_DRAWS
