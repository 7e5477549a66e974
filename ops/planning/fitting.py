"""The steps of a recipe so that its whole chain takes a given time.

One factor multiplies all of them: those of the search (`tuning`), of the scorer, of the classifiers, of the generator
and of the prior. So the recipe's own balance stays, which was chosen for its images. None falls below its floor, from
where a network has hardly learnt; what has reached its floor stays there, and the others are shortened further. A
recipe that is below a floor already keeps its value. Work that steps do not change, such as export, drawing and test
answers, is subtracted first.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from ops.recipe.schema import Recipe

FLOORS = {"tuning.steps": 100, "scorer.steps": 100, "classifier.steps": 200, "generator.steps": 300, "prior.steps": 300}
LARGEST = 4096.0  # of the factor

Estimate = Callable[[Mapping[str, Any]], float]
"""Seconds of the whole chain with these changes to the recipe."""


def fit_steps(recipe: Recipe, seconds: float, estimate: Estimate) -> dict[str, Any] | None:
    """Changes by dotted key with which the chain takes at most `seconds`, as near as steps of two digits come.

    None where even the floors take longer.
    """
    if estimate(scale_steps(recipe, 0.0)) > seconds:
        return None
    low, high = 0.0, 1.0
    while high < LARGEST and estimate(scale_steps(recipe, high)) <= seconds:
        low, high = high, 2 * high
    for _ in range(20):
        middle = (low + high) / 2
        if estimate(scale_steps(recipe, middle)) <= seconds:
            low = middle
        else:
            high = middle
    return scale_steps(recipe, low)


def scale_steps(recipe: Recipe, factor: float) -> dict[str, Any]:
    """The changes with which every number of steps is multiplied by `factor`, but for its floor."""
    classifier, tuning = recipe.classifier, recipe.tuning

    def scale(steps: int, key: str) -> int:
        return max(min(steps, FLOORS[key]), round_steps(steps * factor))

    changes: dict[str, Any] = {
        "scorer.steps": scale(recipe.scorer.steps, "scorer.steps"),
        "classifier.steps": scale(classifier.steps, "classifier.steps"),
    }
    if classifier.grid.steps is not None:
        tried = [scale(steps, "classifier.steps") for steps in classifier.grid.steps]
        changes["classifier.grid.steps"] = list(dict.fromkeys(tried))
    if tuning.policy:
        search = scale(tuning.steps or classifier.steps, "tuning.steps")
        changes["tuning.steps"] = None if tuning.steps is None and search == changes["classifier.steps"] else search
        if tuning.most_steps is not None:
            most = max(changes["classifier.steps"], round_steps(tuning.most_steps * factor))
            changes["tuning.most_steps"] = most
    for key, settings in (("generator.steps", recipe.generator), ("prior.steps", recipe.prior)):
        if (steps := getattr(settings, "steps", None)) is not None:
            changes[key] = scale(steps, key)
    return changes


def round_steps(steps: float) -> int:
    """Round down to two digits, the precision of the measurement."""
    if steps < 1:
        return 0
    digit = 10 ** max(0, math.floor(math.log10(steps)) - 1)
    return int(steps // digit * digit)
