"""How a comparison must be laid out so that it can decide. It loads no statistics: recipes are checked with it."""

from __future__ import annotations

from typing import Literal

Metric = Literal["accuracy", "balanced_accuracy", "worst_class"]  # the figure that a verdict is about

# With fewer seeds the interval is honest and says almost nothing, and its shape rests on two or three numbers.
LEAST_SEEDS = 5
# Two generators have one degree of freedom: of simulated intervals as few as 90 % covered the truth, and up to 5 % of
# verdicts were false. Three have enough (docs/figures.md).
TOO_FEW_GENERATORS = 2


def warn_of_seeds(seeds: int) -> str | None:
    """What to know before anything is computed where `seeds` are too few to decide; None where they are enough."""
    if seeds >= LEAST_SEEDS:
        return None
    return f"no verdict can be reached with classifier.seeds {seeds}: fewer than {LEAST_SEEDS} seeds decide nothing"


def refuse_generators(generators: int, seeds: int) -> str | None:
    """Why this many generators cannot carry a verdict that `seeds` classifiers of each arm can reach, else None."""
    if generators != TOO_FEW_GENERATORS or seeds < LEAST_SEEDS:
        return None
    return "two generators say too little about a third to decide by; take 1, or 3 and more"
