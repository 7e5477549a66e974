"""What the variants of a side's arms amount to: which class is shown how many, at the first seed."""

from __future__ import annotations

from ops.classifiers.runs import Contest
from ops.classifiers.variants.accounting import Accounting, rehearse
from ops.recipe.grid import Setting, set_numbers
from ops.recipe.ingredients.guidance import NoPlacebo


def account(contest: Contest, name: str, setting: Setting | None = None) -> Accounting | None:
    """Of an arm's training with a setting of the grid, or as the recipe writes it; None for an arm without variants."""
    arm, budget = contest.arms[name], contest.settings
    if arm.variants.kind == "none":
        return None
    if setting is not None:
        arm = set_numbers(arm, setting)
        budget = budget.model_copy(update={"steps": contest.find_steps(setting)})
    examples = contest.find_examples(contest.first_seed)
    bare = arm.model_copy(update={"placebo": NoPlacebo()})  # it changes pixels alone, and takes seconds
    data = examples.build_set(bare, contest.classes, contest.first_seed)
    assert data.variants is not None
    counts = data.variants.transform.count(data.variants.keys)
    return rehearse(arm, data, counts, budget, contest.first_seed)
