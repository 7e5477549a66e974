"""How often a side's arms show each image: of arms that draw exact counts, or that say their own share of real ones."""

from __future__ import annotations

import math
from dataclasses import replace

from ops.classifiers.contrastive.batches import find_share
from ops.classifiers.runs import Contest
from ops.classifiers.visits import Visits, count_mixed, count_visits
from ops.recipe.contrastive_arms import find_batch, is_contrastive
from ops.recipe.grid import Setting, set_numbers


def count(contest: Contest, name: str, setting: Setting | None = None) -> Visits | None:
    """Of an arm's training with a setting of the grid, or as the recipe writes it.

    None for a supervised arm that leaves the share of real images to N.
    """
    arm, steps = contest.arms[name], contest.settings.steps
    if arm.beta is None and not is_contrastive(arm):
        return None
    if setting is not None:
        arm, steps = set_numbers(arm, setting), contest.find_steps(setting)
    examples = contest.find_examples(contest.first_seed)
    weights, marks = examples.weigh(arm), examples.marks
    shown = weights > 0
    share = find_share(weights[shown], marks[shown])
    batch_size = find_batch(arm, contest.settings.batch_size)
    found = count_visits(
        int((shown & ~marks).sum()),
        int((shown & marks).sum()),
        share,
        steps=steps,
        batch_size=batch_size,
        mixed_steps=count_mixed(arm.finish, steps),
    )
    if not is_contrastive(arm):
        return found
    real = round(share * batch_size, 9)  # a share has no exact binary form
    return replace(found, real_per_batch=(math.floor(real), math.ceil(real)), views=2)
