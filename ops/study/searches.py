"""What a study refuses of a recipe: to search for what it compares; and what the controller's races need.

It knows settings alone.
"""

from __future__ import annotations

from collections.abc import Sequence

from ops.errors import UserError
from ops.recipe.automatic import list_automatic
from ops.recipe.control import build_schedule
from ops.recipe.schema import Recipe


def refuse_searches(recipe: Recipe, steps: Sequence[int], here: str) -> None:
    """UserError for a recipe that chooses among settings, or whose races would be too short; `here` begins it.

    steps: of the classifiers, each number that the study trains. An arm may say auto, which is then what is compared.
    """
    if recipe.tuning.policy:
        raise UserError(f"{here}: tuning.policy must be false; a study compares chosen settings")
    if asking := list_automatic({**recipe.baselines, **recipe.expanded}):
        for each in steps:
            try:
                build_schedule(each, recipe.classifier.seeds)
            except ValueError as error:
                raise UserError(f"{here}: auto of the arm {asking[0]!r}, with steps: {each}: {error}") from None
    if recipe.classifier.grid.steps or any(len(values) > 1 for values in recipe.classifier.grid.axes.values()):
        raise UserError(f"{here}: classifier.grid must have one value for each key, and no steps")
    if recipe.generator.seeds > 1:
        raise UserError(f"{here}: generator.seeds must be 1; each seed of the study trains a generator of its own")
