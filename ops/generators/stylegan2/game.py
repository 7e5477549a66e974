"""The losses of StyleGAN2 with adaptive augmentation, at each step of the shared game.

    L_D = E softplus(D(T(G(z, y)), y)) + E softplus(-D(T(x), y)) + [every 16 steps] 16 · γ/2 · E |∇D(T(x), y)|²
    L_G = E softplus(-D(T(G(z, y)), y))

T changes images with the probability p, which follows from how sure the critic is of real images. The steepness is that
at what the critic sees, T(x): there it is what it learns from, and a resampling has no second derivative.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from ops.generators.adversarial.game import REAL, Game
from ops.generators.adversarial.given import Given
from ops.generators.adversarial.pair import Maker, Pair
from ops.generators.batches import draw_batch
from ops.generators.stylegan2.adaptation import MOST, Adaptation
from ops.generators.stylegan2.augmentation import augment, draw_numbers
from ops.generators.stylegan2.losses import find_steepness
from ops.recipe.stylegan2 import EVERY, GROUP, StyleGan2Settings

BETAS = (0.0, 0.99)  # of AdamW, as published


class StylePair(Pair):
    """Maker, critic, and how strongly the critic's images are augmented."""

    def __init__(self, maker: Maker, critic: nn.Module, settings: StyleGan2Settings) -> None:
        super().__init__(maker, critic)
        target = settings.augment_target
        self.adaptation = None if target is None else Adaptation(target, settings.augment_images)

    def start_midway(self) -> None:
        """Augment: at p = 0, where a training begins, nothing is computed for it."""
        if self.adaptation is not None:
            self.adaptation.p.fill_(MOST / 2)

    def augment(self, images: Tensor, numbers: Tensor) -> Tensor:
        """The images as the critic sees them."""
        return images if self.adaptation is None else augment(images, numbers, float(self.adaptation.p))


class StyleGame(Game):
    """The shared game with these losses."""

    betas = BETAS
    group = GROUP

    def __init__(self, pair: StylePair, settings: StyleGan2Settings, given: Given) -> None:
        super().__init__(pair, settings, given, augment=pair.augment)
        channels, height, width = given.images.shape[1:]
        self.adaptation, self.weight = pair.adaptation, settings.find_penalty((channels, height, width))
        self.find_penalties = self.compute_in_parts(Penalties(pair))

    def find_critic_loss(self, step: int) -> Tensor:
        """L_D; then p changes."""
        batch = self.find_batch(step)
        terms = self.judge(batch)
        loss = terms[:, 0].mean()
        if self.weight and step % EVERY == 0:
            steepness = self.find_penalties(batch.real, batch.labels[REAL], batch.changes[REAL])
            loss = loss + EVERY * self.weight / 2 * steepness.mean()
        if self.adaptation is not None:
            self.adaptation.observe(step, terms[:, 1])
        return loss

    def describe(self) -> dict[str, float]:
        """How strongly the critic's images were augmented."""
        return {} if self.adaptation is None else {"augment_probability": round(float(self.adaptation.p), 4)}

    def draw_rows(self, stream: int, step: int) -> Tensor:
        """Groups of GROUP images of one class, whose deviations the critic compares: no cut of a batch parts them."""
        settings, seed = self.settings, self.given.seed
        groups = settings.batch_size // GROUP
        first = draw_batch(self.by_class, settings.class_balanced, groups, seed, step, stream)
        rng = np.random.default_rng([seed, step, stream, GROUP])
        members = [self.by_class[label] for label in self.labels[torch.from_numpy(first)].tolist()]
        rows = [rng.choice(own, GROUP, replace=len(own) < GROUP) for own in members]
        return torch.from_numpy(np.concatenate(rows))

    def draw_changes(self, streams: int, count: int, generator: torch.Generator) -> Tensor:
        return draw_numbers(streams * count, generator).unflatten(0, (streams, count))


class Penalties(nn.Module):
    """The steepness of each row, for parts of a batch, float32 [n]."""

    def __init__(self, pair: StylePair) -> None:
        super().__init__()
        self.critic = pair.critic
        self.augment = pair.augment

    def forward(self, real: Tensor, labels: Tensor, numbers: Tensor) -> Tensor:
        return find_steepness(self.critic, self.augment(real, numbers), labels)
