"""Train one classifier of one arm.

The arm says what is special, ingredient by ingredient; everything else is equal for all arms: network, optimizer,
schedule, batch size and, unless the grid tries several, number of steps. No test pixel comes near this module.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from torch import Tensor

from ops.classifiers.data import TrainingSet
from ops.classifiers.ingredients import Budget, Training, Validation
from ops.classifiers.networks.classifier import Classifier
from ops.classifiers.trainers import TRAINERS
from ops.classifiers.unlabelled.pseudo_labels import fit_pseudo_labelled
from ops.machine.memory import keep_freed_memory
from ops.recipe.arms import Arm


def train(
    data: TrainingSet,
    arm: Arm,
    budget: Budget,
    *,
    learning_rate: float,
    weight_decay: float,
    seed: int,
    device: str = "cpu",
    on_step: Callable[[int, float], None] = lambda step, loss: None,
    teachers: Sequence[Callable[[Tensor], Tensor]] = (),
    pool: Tensor | None = None,
    prior: Path | None = None,
    validation: Validation | None = None,
    on_diagnosis: Callable[[str, float], None] = lambda name, value: None,
) -> Classifier:
    """A trained network in evaluation mode on `device`; the same arguments give the same weights.

    The seed fixes initialisation, batch order, augmentation and pairing; arms that share a seed share
    the initial weights, which pairs them. `teachers`: the networks that the arm's targets name, in evaluation mode.
    `pool`, `prior`, `validation`, `on_diagnosis`: as in `Training`.
    """
    keep_freed_memory()
    fit = TRAINERS[arm.trainer.kind]
    training = Training(
        data, arm, budget, learning_rate, weight_decay, seed, device, on_step, teachers, pool, prior, validation,
        on_diagnosis,
    )  # fmt: skip
    return fit_pseudo_labelled(training, fit) if arm.unlabelled.kind == "pseudo_labels" else fit(training)
