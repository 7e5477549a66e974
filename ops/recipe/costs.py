"""What a step of an arm costs beside a plain one, in evaluations of the network: equal steps may be more work."""

from __future__ import annotations

from ops.recipe.arms import Arm
from ops.recipe.ingredients.guidance import EmaConsistency, TeacherTargets

PLAIN = 3.0  # evaluations of a plain step per image: one forward, and two for the gradients


def measure_cost(arm: Arm, seeds: int) -> float:
    """The cost of a step in plain steps; `seeds` networks teach together. Augmentation and pairing count nothing.

    A teacher answers once for each image that it covers; where it covers one kind of images, all are counted.
    """
    evaluations = PLAIN
    if isinstance(arm.targets, TeacherTargets):
        evaluations += seeds
    if isinstance(arm.consistency, EmaConsistency):
        evaluations += arm.consistency.ratio * (PLAIN + 1)  # the averaged network answers without a gradient
    return evaluations / PLAIN
