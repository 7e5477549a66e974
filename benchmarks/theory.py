"""The simulation of the Gaussian mixture: all panels of the paper with 1,000 repeats, and a plain loop beside it.

The loop draws what the published code draws, repeat by repeat; it runs few repeats, and its time is scaled to as many.
Time is that of the processor, so that programs beside it disturb little; both sides use one core of two.
"""

from __future__ import annotations

import time
from pathlib import Path

from benchmarks.parts.harness import Row, interleave, use_cores, write_result
from benchmarks.parts.mixture_loop import repeat_plainly
from ops.theory.mixture import Mixture
from ops.theory.summary import sum_up

GAMMAS = (0, 1, 2, 5, 10, 20, 50)
# Dimensions, real samples and γ of each setting, panel by panel.
PANELS: dict[str, list[tuple[int, int, tuple[int, ...]]]] = {
    "real samples": [(1, real, GAMMAS) for real in (20, 50, 100, 200, 500)],
    "dimensions": [(dim, 10, GAMMAS) for dim in (2, 10, 20, 50, 100)],
    "generated samples": [(1, 40, (*GAMMAS, 100)), (50, 10, (*GAMMAS, 100))],
}
REPEATS, LOOP_REPEATS, ROUNDS, CORES = 1_000, 10, 3, 2


def run() -> Path:
    """Measure both sides in turn, write results/theory.json."""
    with use_cores(CORES):
        seconds = interleave({"growset": simulate_panels, "loop": loop_panels}, repeats=ROUNDS, clock=time.process_time)
    scaled = seconds["loop"] * REPEATS / LOOP_REPEATS
    rows = [
        Row("all panels", round(seconds["growset"], 2), f"s, {REPEATS:,} repeats, median of {ROUNDS}"),
        Row("a plain loop", round(scaled, 1), f"s, scaled from {LOOP_REPEATS} repeats to {REPEATS:,}"),
    ]
    ratios = {"gmm_seconds": seconds["growset"], "gmm_vs_loop": scaled / seconds["growset"]}
    return write_result("theory", rows, ratios)


def simulate_panels(repeats: int = REPEATS) -> None:
    for settings in PANELS.values():
        for dim, real, gammas in settings:
            sum_up(Mixture(dim, real), gammas, repeats=repeats, seed=0)


def loop_panels(repeats: int = LOOP_REPEATS) -> None:
    for settings in PANELS.values():
        for dim, real, gammas in settings:
            repeat_plainly(dim, real, gammas, repeats=repeats, seed=0)
