"""The loss of each step of learning to denoise: which real images (or their latents), which noise, which times.

Every random choice of step s comes from (seed, s), so any thread can draw a batch ahead of its step. The module knows
neither what the network predicts, which its kind decides, nor how it learns from the loss (`learning`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from ops.generators.batches import draw_batch
from ops.generators.denoising.augmentation import augment
from ops.generators.denoising.space import PIXELS, Space
from ops.generators.denoising.transfer import Heard, find_transfer
from ops.machine.precision import compute_in
from ops.training.dropout import drop_by

if TYPE_CHECKING:
    from ops.recipe.denoisers import DenoiserSettings

Loss = Callable[..., Tensor]
PairNoise = Callable[[Tensor, Tensor, Tensor], Tensor]
Tell = Callable[[Tensor, torch.Generator], Tensor]


@dataclass(frozen=True)
class Batch:
    """What a step learns from. `conditions` describe each image's augmentation; None where images are not augmented."""

    step: int
    images: Tensor
    labels: Tensor  # or what the network is told in their place
    noise: Tensor
    level: Tensor
    conditions: Tensor | None
    others: Tensor | None = None  # labels of other classes, for the transfer between classes


class DenoisingSteps:
    """The loss of a step, as a function of the step; `prepare` draws its batch ahead.

    Parameters
    ----------
    network : the network, or the function that computes it in parts.
    loss : of (predict, images in -1..1, labels, noise, level); noise and level [n] are standard normal.
    images : uint8 [n, C, H, W]; or float, what `space` has in their place, where they are not augmented.
    labels : int64 [n], every class 0..K-1 present.
    precision : "fp32" or "bf16", in which the network computes.
    noise_share : of the levels [n], how noisy each is in 0..1; for `class_transfer`.
    pair_noise : of (images, groups, noise): the noise in the order in which the images are paired with it, permuted
        only within groups (`find_groups`).
    space : where the network denoises; augmented images are encoded at each step.
    tell : of (rows of the images, a generator on the CPU): what the network is told of them, in the place of labels.
    """

    def __init__(
        self,
        network: Callable[..., Tensor],
        loss: Loss,
        images: Tensor,
        labels: Tensor,
        settings: DenoiserSettings,
        *,
        seed: int,
        precision: str,
        device: str = "cpu",
        pair_noise: PairNoise = lambda images, groups, noise: noise,
        noise_share: Callable[[Tensor], Tensor],
        space: Space[Tensor] = PIXELS,
        tell: Tell | None = None,
    ) -> None:
        self.network, self.loss, self.pair_noise, self.noise_share = network, loss, pair_noise, noise_share
        self.tell = tell
        self.settings, self.seed, self.precision, self.device = settings, seed, precision, device
        scaled = images if images.is_floating_point() else images.float() / 127.5 - 1
        self.images, self.labels = scaled.to(device), labels.to(device)
        self.space, self.shape = space, space.shape or images.shape[1:]
        self.nothing = int(labels.max()) + 1  # the label that stands for no label
        self.by_class = [np.flatnonzero(labels.cpu().numpy() == c) for c in range(self.nothing)]
        self.ahead: Batch | None = None

    def __call__(self, step: int) -> Tensor:
        batch = self.ahead if self.ahead is not None and self.ahead.step == step else self._draw(step)
        predict = self.network if batch.conditions is None else partial(self.network, condition=batch.conditions)
        with compute_in(self.precision, self.device), drop_by(self.seed, step):
            given = batch.images, batch.labels, batch.noise, batch.level
            if batch.others is None:
                return self.loss(predict, *given)
            heard = Heard(predict)
            loss = self.loss(heard, *given)
            share = self.noise_share(batch.level)
            return loss + self.settings.class_transfer * find_transfer(heard, predict, batch.others, share)

    def prepare(self, step: int) -> None:
        """Draw the batch of the next step."""
        self.ahead = self._draw(step)

    def _draw(self, step: int) -> Batch:
        settings = self.settings
        index = torch.from_numpy(
            draw_batch(self.by_class, settings.class_balanced, settings.batch_size, self.seed, step)
        )
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + step)
        # Drawn on the CPU, so that a run does not depend on the device.
        noise = torch.randn((len(index), *self.shape), generator=generator).to(self.device)
        level = torch.randn(len(index), generator=generator).to(self.device)
        dropped = (torch.rand(len(index), generator=generator) < settings.label_dropout).to(self.device)
        images, conditions = self.images[index], None
        if settings.augment:
            # bf16 rounds the grid of places too. Without it every bf16 generator would get other bits.
            with compute_in(self.precision, self.device):
                images, conditions = augment(images, settings.policy, settings.augment, generator)
                images = self.space.encode(images)
        labels, others = self.labels[index].masked_fill(dropped, self.nothing), None
        if settings.class_transfer:
            others = torch.randint(self.nothing, (len(index),), generator=generator).to(self.device)
        paired = self.pair_noise(images, find_groups(labels, conditions), noise)
        told = labels if self.tell is None else self.tell(index, generator).to(self.device)
        return Batch(step, images, told, paired, level, conditions, others)


def find_groups(labels: Tensor, conditions: Tensor | None) -> Tensor:
    """int64 [n], equal for images of the same label and the same augmentation.

    Noise may be chosen by what the network is told, label and augmentation, but only within it. If it depended on the
    augmentation beyond that, the noise of unaugmented images would not be the noise that images are drawn from.
    """
    if conditions is None:
        return labels
    told = torch.cat([labels[:, None].to(conditions), conditions], dim=1)
    groups: Tensor = told.unique(dim=0, return_inverse=True)[1]
    return groups
