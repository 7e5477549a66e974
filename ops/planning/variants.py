"""Before anything is drawn: how many variants each class will be shown, if none that the plan wants is missing.

The sampler and the chances run as in the training. An image's variants are those that the plan wants of it, and as many
as are asked for where they are drawn in the training. What the filters reject is not known yet.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ops.generators.units import Unit
from ops.planning.plan import ExpansionPlan
from ops.planning.quota import share_plan
from ops.recipe.arms import Arm
from ops.recipe.ingredients.variants import GitVariants
from ops.recipe.schema import Recipe

if TYPE_CHECKING:
    from ops.classifiers.variants.accounting import Accounting


def shows_variants(recipe: Recipe) -> bool:
    """Whether some arm does."""
    return any(arm.variants.kind != "none" for arm in (*recipe.baselines.values(), *recipe.expanded.values()))


def foresee_variants(settled: Recipe, plan: ExpansionPlan, labels: np.ndarray) -> dict[str, Accounting]:
    """What the first seed of each arm with variants will show, by arm.

    settled: the recipe with what was chosen for `auto`. labels: of the real training images in their order, int64 [n].
    """
    arms = {**settled.baselines, **settled.expanded}
    varied = {name: arm for name, arm in arms.items() if isinstance(arm.variants, GitVariants)}
    import torch  # the samplers' module loads it

    from ops.classifiers.data import TrainingSet
    from ops.classifiers.variants.accounting import rehearse

    pixels = torch.zeros(len(labels), 1, 1, 1, dtype=torch.uint8)  # nothing looks at them
    data = TrainingSet(pixels, torch.from_numpy(labels), np.ones(len(labels)), len(plan.classes))
    found = {}
    for name, arm in varied.items():
        counts = _count_variants(arm, plan, labels.tolist())
        found[name] = rehearse(arm, data, counts, settled.classifier, settled.seed * 1000)
    return found


def _count_variants(arm: Arm, plan: ExpansionPlan, labels: Sequence[int]) -> np.ndarray:
    """Variants of each image, int64 [n]."""
    from ops.classifiers.variants.transform import UNLIMITED

    assert isinstance(arm.variants, GitVariants)
    units = _take_seeds(plan, [Unit(str(row), label, str(row)) for row, label in enumerate(labels)])
    wanted = np.zeros(len(labels), np.int64)
    for unit, quota in zip(units, share_plan(plan, units), strict=True):
        wanted[int(unit.key)] = quota.wanted
    if not arm.variants.needs_generator:
        return np.full(len(labels), UNLIMITED)
    return np.where(wanted > 0, UNLIMITED, 0) if arm.variants.source == "drawn" else wanted


def _take_seeds(plan: ExpansionPlan, units: Sequence[Unit]) -> list[Unit]:
    """As many units of each class as it has seed images; which ones are chosen is not known yet."""
    seen, taken = Counter[int](), list[Unit]()
    for unit in units:
        seen[unit.label] += 1
        if seen[unit.label] <= plan.count_seeds(plan.classes[unit.label]):
            taken.append(unit)
    return taken
