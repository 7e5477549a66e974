"""How many variants each class will be shown: exact, and known before anything is trained.

The sampler, the chances and the numbers of the variants run as in the training, without a pixel.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ops.classifiers.data import TrainingSet
from ops.classifiers.ingredients import Budget
from ops.classifiers.samplers import SAMPLERS
from ops.classifiers.sampling import iterate_batches
from ops.classifiers.variants.replacing import Replacing
from ops.recipe.arms import Arm
from ops.recipe.ingredients.variants import GitVariants, find_chances

LISTED = 20  # most classes that are described


@dataclass(frozen=True, eq=False)
class Accounting:
    """By class [K]: real training images, images shown, variants among them, the chance q, the most different variants
    of one image that are shown, and images that have no variant although their class has a chance."""

    images: np.ndarray
    shown: np.ndarray
    variants: np.ndarray
    chances: np.ndarray
    different: np.ndarray
    bare: np.ndarray

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON: totals, and lists by class."""
        return {
            "total": {"shown": int(self.shown.sum()), "variants": int(self.variants.sum())},
            "images": self.images.tolist(),
            "shown": self.shown.tolist(),
            "variants": self.variants.tolist(),
            "chance": [round(chance, 6) for chance in self.chances.tolist()],
            "different": self.different.tolist(),
            "without_variant": self.bare.tolist(),
        }


def rehearse(arm: Arm, data: TrainingSet, counts: np.ndarray, budget: Budget, seed: int) -> Accounting:
    """What a training will show; data: real images alone, counts: variants that there are of each, int64 [n].

    UserError as `Replacing`.
    """
    settings = arm.variants
    assert isinstance(settings, GitVariants)
    sampler = SAMPLERS[arm.sampler.kind](arm.sampler, data, budget)
    replacing = Replacing(settings, data, counts, sampler, budget, seed)
    labels, classes = data.labels.numpy(), data.classes
    shown, variants = np.zeros(classes, np.int64), np.zeros(classes, np.int64)
    batches = iterate_batches(sampler.weights, budget.batch_size, budget.steps, seed)
    for step, rows in enumerate(batches):
        choice = replacing.choose(rows, step)
        shown += np.bincount(labels[choice.rows], minlength=classes)
        variants += np.bincount(labels[choice.rows[choice.marks]], minlength=classes)
    images, different = np.bincount(labels, minlength=classes), np.zeros(classes, np.int64)
    np.maximum.at(different, labels, np.minimum(replacing.used, counts))
    chances = find_chances(images, settings)
    bare = np.where(chances > 0, np.bincount(labels[counts == 0], minlength=classes), 0)
    return Accounting(images, shown, variants, chances, different, bare)


def describe(found: Accounting, arm: str, names: Sequence[str], refused: Mapping[str, str]) -> list[str]:
    """`git: 17,600 of 51,200 images shown are variants (34 %)`, then a line for each class.

    Of many classes, the largest and the smallest. names: of the classes. refused: why the gate of variants refused
    classes, by their names.
    """
    shown, variants = int(found.shown.sum()), int(found.variants.sum())
    order = list(range(len(names)))
    if hidden := max(0, len(names) - LISTED):
        order = np.argsort(-found.images, kind="stable").tolist()
        order = [*order[: LISTED // 2], -1, *order[-LISTED // 2 :]]
    width = max(len("class"), *(len(names[label]) for label in order if label >= 0))
    return [
        f"{arm}: {variants:,} of {shown:,} images shown are variants ({100 * variants / shown:.0f} %)",
        f"  {'class':<{width}} {'images':>8} {'shown':>9} {'variants':>9} {'chance':>7} {'different of one image':>23}",
        *(
            f"  … {hidden:,} more"
            if label < 0
            else f"  {names[label]:<{width}} {found.images[label]:>8,} {found.shown[label]:>9,}"
            f" {found.variants[label]:>9,} {found.chances[label]:>7.3f} {found.different[label]:>23,}"
            f"{_explain_bare(int(found.bare[label]), int(found.images[label]), refused.get(names[label]))}"
            for label in order
        ),
    ]


def _explain_bare(bare: int, images: int, why: str | None) -> str:
    if not bare:
        return ""
    if why is not None:
        return f"  refused: {why}"
    return "  no image has a variant" if bare == images else f"  {bare:,} images have no variant"
