"""The settings of an optimizer as functions of the step, so that a resumed training needs no state of a schedule.

A schedule maps a step, counted from 0, to the entries of an optimizer's parameter groups that it sets.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

Schedule = Callable[[int], Mapping[str, float]]

FALL = 0.3  # share of the steps over which a trapezoid's rate falls
RISE = 0.21  # share of the steps over which a cycle's rate rises; 0.2 would divide by zero at 5 steps
FIRST, LAST = 25, 1e4  # a cycle begins at peak / FIRST and ends at that / LAST
SLOW, FAST = 0.95, 0.85  # momentum at a cycle's lowest and highest rate


def trapezoid(peak: float, steps: int, warmup: int) -> Schedule:
    """Learning rate: linear rise over `warmup` steps, then `peak`, then a linear fall to 0 over the last 30 %."""

    def find(step: int) -> Mapping[str, float]:
        rise = min(1.0, (step + 1) / max(1, warmup))
        fall = min(1.0, (steps - step) / max(1, math.ceil(FALL * steps)))
        return {"lr": peak * (rise * fall)}

    return find


def one_cycle(peak: float, steps: int, *, cycle_momentum: bool) -> Schedule:
    """Learning rate: half a cosine up to `peak`, then half a cosine down (Smith & Topin 2019).

    `cycle_momentum` moves the momentum the other way, from 0.95 to 0.85 and back. The numbers are those of
    torch.optim.lr_scheduler.OneCycleLR with pct_start=RISE.
    """
    first = peak / FIRST
    last = first / LAST
    top, end = RISE * steps - 1, steps - 1

    def find(step: int) -> Mapping[str, float]:
        rises = step <= top
        share = step / top if rises else (step - top) / (end - top)
        values = {"lr": _anneal(first, peak, share) if rises else _anneal(peak, last, share)}
        if cycle_momentum:
            values["momentum"] = _anneal(SLOW, FAST, share) if rises else _anneal(FAST, SLOW, share)
        return values

    return find


def _anneal(start: float, end: float, share: float) -> float:
    """Half a cosine from `start` to `end` as `share` goes from 0 to 1."""
    return end + (start - end) / 2.0 * (math.cos(math.pi * share) + 1)
