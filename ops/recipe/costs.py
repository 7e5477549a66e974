"""What a step of an arm costs beside a plain one, in evaluations of the network: equal steps may be more work."""

from __future__ import annotations

from ops.recipe.arms import Arm
from ops.recipe.ingredients.contrastive import ContrastiveTrainer
from ops.recipe.ingredients.guidance import EmaConsistency, TeacherTargets
from ops.recipe.ingredients.trainers import ProbeTrainer
from ops.recipe.ingredients.unlabelled import FixMatch, PseudoLabels

PLAIN = 3.0  # evaluations of a plain step per image: one forward, and two for the gradients


def measure_cost(arm: Arm, seeds: int, batch_size: int | None = None) -> float:
    """The cost of a step in plain steps; `seeds` networks teach together. Augmentation and pairing count nothing.

    batch_size: images of a plain step; None: as many as in the arm's own. A contrastive trainer sees two views of each
    image of a batch of its own size, and an averaged network, where it has one, sees them too.

    A teacher answers once for each image that it covers; where it covers one kind of images, all are counted. FixMatch
    is counted as if every answer were a sure one. The steps of networks that pseudo-labels come from count as well.
    Arms that begin with an encoder count as plain ones, although it is another network. A probe takes no steps, so they
    cost nothing.
    """
    if isinstance(arm.trainer, ProbeTrainer):
        return 0.0
    if isinstance(arm.trainer, ContrastiveTrainer):
        own = arm.trainer.batch_size
        return (2 * PLAIN + arm.trainer.extra) / PLAIN * own / (batch_size or own)
    evaluations = PLAIN
    if isinstance(arm.targets, TeacherTargets):
        evaluations += seeds
    if isinstance(arm.consistency, EmaConsistency):
        evaluations += arm.consistency.ratio * (PLAIN + 1)  # the averaged network answers without a gradient
    if isinstance(arm.unlabelled, FixMatch):
        evaluations += arm.unlabelled.ratio * (PLAIN + 1)  # a weak view is answered without a gradient
    earlier = arm.unlabelled.rounds if isinstance(arm.unlabelled, PseudoLabels) else 0
    return (1 + earlier) * evaluations / PLAIN
