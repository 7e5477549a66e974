"""Train one classifier of one arm for a fixed number of optimizer steps.

The arm says what is special (augmentation, pairing, sampler, loss); everything else is equal for all
arms: network, optimizer, schedule, batch size, number of steps. No test pixel comes near this module.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ops.classifiers.augmentation import build_augmentation
from ops.classifiers.network import SmallResNet, normalise
from ops.classifiers.optimization import build_optimizers, build_schedules
from ops.classifiers.sampling import balance_classes, iterate_batches
from ops.machine.parallel import count_threads, start_threads
from ops.machine.precision import resolve_precision

if TYPE_CHECKING:
    from ops.recipe.schema import Arm, NetworkBudget


WORKER_SHARE = 20_000  # training images (about ten seconds of one core) that make a process worth starting


@dataclass(frozen=True)
class TrainingSet:
    """Images to learn from: uint8 [n, C, H, W], int64 labels [n], float64 weights [n]."""

    images: Tensor
    labels: Tensor
    weights: np.ndarray
    classes: int


def mix_pairs(images: Tensor, targets: Tensor, alpha: float, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """mixup (Zhang et al. 2018, eq. 1-2): the batch blended with a permutation of itself, one λ ~ Beta(α, α).

    `images` [n, C, H, W] and soft `targets` [n, K] are mixed with the same permutation and the same λ.
    """
    blend = float(rng.beta(alpha, alpha))
    order = torch.from_numpy(rng.permutation(len(images)))
    return torch.lerp(images[order], images, blend), torch.lerp(targets[order], targets, blend)


def class_weights(labels: Tensor, weights: np.ndarray, classes: int) -> Tensor:
    """W / (K · W_c) per class, float32 [K], W being summed image weights: scikit-learn's "balanced" if all are 1."""
    totals = torch.bincount(labels, weights=torch.from_numpy(weights), minlength=classes)
    return (totals.sum() / (classes * totals.clamp(min=1e-12))).float()


def train(
    data: TrainingSet,
    arm: Arm,
    settings: NetworkBudget,
    *,
    learning_rate: float,
    weight_decay: float,
    seed: int,
    device: str = "cpu",
    on_step: Callable[[int, float], None] = lambda step, loss: None,
) -> SmallResNet:
    """A trained network in evaluation mode on `device`; the same arguments give the same weights.

    The seed fixes initialisation, batch order, augmentation and mixing; arms that share a seed share
    the initial weights, which pairs them.
    """
    random.seed(seed)  # kornia's RandAugment draws its policy with Python's generator
    torch.manual_seed(seed)
    rng = np.random.default_rng([seed, 1])

    channels, height, width = data.images.shape[1:]
    model = SmallResNet(channels, data.classes, settings.width).to(device)
    augment = build_augmentation(arm.augmentation, (height, width))
    weights = balance_classes(data.labels.numpy(), data.weights) if arm.sampler == "class_balanced" else data.weights
    loss_weights = (
        class_weights(data.labels, data.weights, data.classes).to(device) if arm.loss == "class_weighted" else None
    )

    optimizers = build_optimizers(settings.optimizer, model, learning_rate, weight_decay)
    schedules = build_schedules(optimizers, learning_rate, settings.steps)
    use_bf16 = resolve_precision(settings.precision, device) == "bf16"

    model.train()
    for step, batch in enumerate(iterate_batches(weights, settings.batch_size, settings.steps, seed)):
        index = torch.from_numpy(batch)
        images = augment(normalise(data.images[index].to(device))).contiguous(memory_format=torch.channels_last)
        targets = F.one_hot(data.labels[index].to(device), data.classes).float()
        if arm.pairing == "mixup":
            assert arm.mixup_alpha is not None  # the recipe's schema has filled it in
            images, targets = mix_pairs(images, targets, arm.mixup_alpha, rng)
        with torch.autocast(torch.device(device).type, torch.bfloat16, enabled=use_bf16):
            logits = model(images)
        loss = F.cross_entropy(logits.float(), targets, weight=loss_weights, label_smoothing=settings.label_smoothing)
        model.zero_grad(set_to_none=True)
        loss.backward()
        for optimizer, schedule in zip(optimizers, schedules, strict=True):
            optimizer.step()
            schedule.step()
        on_step(step, float(loss.detach()))
    return model.eval()


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
    use_bf16 = resolve_precision(precision, device) == "bf16"

    def answer(batch: Tensor) -> Tensor:
        kind = torch.device(device).type
        with torch.inference_mode(), torch.autocast(kind, torch.bfloat16, enabled=use_bf16):
            return model(normalise(batch.to(device))).float().cpu()

    # What more than some 128 small images become in the network leaves a core's cache: 1.3x to 1.6x slower with 500.
    batches = images.split(batch_size or (128 if device == "cpu" else 500))
    if device != "cpu" or len(batches) == 1 or count_threads() == 1:
        return torch.cat([answer(batch) for batch in batches])
    with start_threads() as pool:
        return torch.cat(list(pool.map(answer, batches)))
