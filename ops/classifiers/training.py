"""Train one classifier of one arm, and ask it.

The arm says what is special, ingredient by ingredient; everything else is equal for all arms: network, optimizer,
schedule, batch size and, unless the grid tries several, number of steps. No test pixel comes near this module.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ops.classifiers.data import TrainingSet
from ops.classifiers.ingredients import Budget, Training
from ops.classifiers.networks.classifier import Classifier, normalise
from ops.classifiers.trainers import TRAINERS
from ops.machine.memory import keep_freed_memory
from ops.machine.parallel import count_threads, start_threads
from ops.machine.precision import compute_in, resolve_precision
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
) -> Classifier:
    """A trained network in evaluation mode on `device`; the same arguments give the same weights.

    The seed fixes initialisation, batch order, augmentation and pairing; arms that share a seed share
    the initial weights, which pairs them.
    """
    keep_freed_memory()
    fit = TRAINERS[arm.trainer.kind]
    return fit(Training(data, arm, budget, learning_rate, weight_decay, seed, device, on_step))


def predict(
    model: Callable[[Tensor], Tensor],
    images: Tensor,
    *,
    precision: str = "auto",
    batch_size: int | None = None,
    device: str = "cpu",
) -> Tensor:
    """Logits float32 [n, K] of uint8 images [n, C, H, W]; the model must be in evaluation mode.

    Any other function of normalised images, such as a network's features, is computed in the same way.
    """
    keep_freed_memory()
    resolved = resolve_precision(precision, device)

    def answer(batch: Tensor) -> Tensor:
        with torch.inference_mode(), compute_in(resolved, device):
            return model(normalise(batch.to(device))).float().cpu()

    # On a CPU larger batches are not faster, and smaller ones divide better among threads.
    batches = images.split(batch_size or (128 if device == "cpu" else 500))
    if device != "cpu" or len(batches) == 1 or count_threads() == 1:
        return torch.cat([answer(batch) for batch in batches])
    with start_threads() as pool:
        return torch.cat(list(pool.map(answer, batches)))
