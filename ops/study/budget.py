"""How many steps the arms of a study have: equally many, or as many as give equal epochs. Settings alone.

Zheng et al. (NeurIPS 2023) train for equally many epochs, so that an arm with more images takes more steps. Equal steps
are the fairer comparison; both are there, because a gain of one is none of the other.
"""

from __future__ import annotations

from typing import Any, Literal

from ops.errors import UserError
from ops.recipe.arms import Arm
from ops.recipe.automatic import list_automatic
from ops.recipe.grid import Setting
from ops.recipe.ingredients.contrastive import ContrastiveTrainer
from ops.recipe.schema import Recipe
from ops.recipe.variants import shows_generated

Budget = Literal["steps", "epochs"]
QUICK_BATCH = 16  # images of a step of a quick run's contrastive training, at most


def count_steps(recipe: Recipe, arm: Arm, budget: Budget, *, is_expanded: bool) -> int:
    """Optimizer steps of an arm of a recipe, whose `classifier.steps` are those on real images alone.

    Generated images count as they are asked for: a filter that rejects some takes no steps away.
    """
    steps = recipe.classifier.steps
    if budget == "steps" or not is_expanded:
        return steps
    return round(steps * (1 + (recipe.plan.ratio if arm.ratio is None else arm.ratio)))


def pick_setting(recipe: Recipe, arm: Arm, budget: Budget, *, is_expanded: bool) -> Setting:
    """The one setting of the grid that an arm has in a study, with its steps where these are not the recipe's."""
    (setting,) = recipe.classifier.grid.list_settings(arm, is_expanded=is_expanded)
    steps = count_steps(recipe, arm, budget, is_expanded=is_expanded)
    return setting if steps == recipe.classifier.steps else Setting((*setting.values, ("steps", float(steps))))


def refuse_epochs(recipe: Recipe, here: str) -> None:
    """UserError for an arm whose epochs are not those of real and generated images together."""
    if asking := list_automatic({**recipe.baselines, **recipe.expanded}):
        raise UserError(
            f"{here}: budget: epochs has no arm with auto, as {asking[0]!r} has, because the controller races trainings"
            " of equal steps; write a number in the place of auto, or budget: steps"
        )
    for name, arm in recipe.expanded.items():
        if shows_generated(arm) or getattr(arm.consistency, "images", None) == "generated":
            raise UserError(
                f"{here}: budget: epochs counts generated images as images of the training set, which they are not in"
                f" the arm {name!r}; write budget: steps"
            )
        if arm.ratio is not None and recipe.plan.balance != "keep":
            raise UserError(
                f"{here}: budget: epochs needs plan.balance: keep where an arm has a ratio of its own, as {name!r} has;"
                " with equalise its classes grow by different ones"
            )


def shrink_trainers(recipe: Recipe, steps: int) -> Recipe:
    """The recipe with `steps` steps and epochs, and small batches, in every trainer that has some of its own."""

    def shrink(arm: Arm) -> Arm:
        own, trainer = set(type(arm.trainer).model_fields), arm.trainer
        small: dict[str, Any] = dict.fromkeys({"epochs", "steps"} & own, steps)
        if isinstance(trainer, ContrastiveTrainer):
            small["batch_size"] = min(trainer.batch_size, QUICK_BATCH)
        return arm.model_copy(update={"trainer": trainer.model_copy(update=small)})

    sides = {
        side: {name: shrink(arm) for name, arm in getattr(recipe, side).items()} for side in ("baselines", "expanded")
    }
    return recipe.model_copy(update=sides)
