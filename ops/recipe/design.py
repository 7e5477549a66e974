"""How many seeds and generators a verdict needs. It loads no statistics, because recipes are checked with it."""

from __future__ import annotations

from typing import Literal

Metric = Literal["accuracy", "balanced_accuracy", "worst_class"]  # the figure that a verdict is about

# With fewer seeds the interval is valid but too wide to be of use, and its shape rests on two or three numbers.
LEAST_SEEDS = 5
# Two generators leave one degree of freedom. In simulations as few as 90 % of their intervals covered the truth, and up
# to 5 % of verdicts were false. Three are enough (docs/figures.md).
TOO_FEW_GENERATORS = 2
POWER = 0.8  # of the smallest detectable effect: the share of verdicts that find it
# Two folds leave one degree of freedom for what varies between them. Their intervals are six times as wide, and covered
# the truth in 91 to 93 % of simulations.
LEAST_FOLDS = 3


def warn_of_seeds(seeds: int, folds: int | None = None) -> str | None:
    """A warning, before anything is computed, that `seeds` are too few to decide; None where they are enough.

    Each of the `folds` trains its own networks, so they count together.
    """
    if seeds * (folds or 1) >= LEAST_SEEDS:
        return None
    if folds is not None:
        needed = -(-LEAST_SEEDS // folds)
        return f"no verdict can be reached with classifier.seeds {seeds} in {folds} folds; it needs {needed} or more"
    return f"no verdict can be reached with classifier.seeds {seeds}: fewer than {LEAST_SEEDS} seeds decide nothing"


def refuse_generators(generators: int, seeds: int) -> str | None:
    """Why this many generators are too few for a verdict with `seeds` classifiers of each arm, else None."""
    if generators != TOO_FEW_GENERATORS or seeds < LEAST_SEEDS:
        return None
    return "two generators are too few for a verdict about another one; use 1, or at least 3"
