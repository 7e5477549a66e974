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

from ops.generators.adversarial.design import Given
from ops.generators.adversarial.game import CRITICS, MAKERS, REAL, Game
from ops.generators.adversarial.pair import Maker, Pair, frozen
from ops.generators.batches import draw_batch
from ops.generators.stylegan2.adaptation import Adaptation
from ops.generators.stylegan2.augmentation import augment, draw_numbers
from ops.generators.stylegan2.losses import criticise, deceive, find_steepness, slow_betas
from ops.machine.precision import compute_in
from ops.recipe.stylegan2 import EVERY, StyleGan2Settings

GROUP = 4  # images of one class that stand together in a batch
BETAS = (0.0, 0.99)  # of AdamW, as published


class StylePair(Pair):
    """Maker, critic, and how strongly the critic's images are augmented."""

    def __init__(self, maker: Maker, critic: nn.Module, settings: StyleGan2Settings) -> None:
        super().__init__(maker, critic)
        target = settings.augment_target
        self.adaptation = None if target is None else Adaptation(target, settings.augment_images)

    def augment(self, images: Tensor, numbers: Tensor) -> Tensor:
        """The images as the critic sees them."""
        return images if self.adaptation is None else augment(images, numbers, float(self.adaptation.p))


class StyleGame(Game):
    """The shared game with these losses."""

    makers_betas = BETAS

    def __init__(self, pair: StylePair, settings: StyleGan2Settings, given: Given) -> None:
        super().__init__(pair, settings, given)
        channels, height, width = given.images.shape[1:]
        self.adaptation, self.weight = pair.adaptation, settings.find_penalty((channels, height, width))
        self.critics_betas = slow_betas(BETAS, EVERY) if self.weight else BETAS
        self.find_critic_terms = self.compute_in_parts(CriticTerms(pair))
        self.find_maker_terms = self.compute_in_parts(MakerTerms(pair))
        self.find_penalties = self.compute_in_parts(Penalties(pair))

    def find_critic_loss(self, step: int) -> Tensor:
        """L_D; then p changes."""
        batch = self.find_batch(step)
        made = self.make(batch.latents[0], batch.labels[CRITICS])
        seen = batch.real, batch.labels[REAL], batch.changes[REAL]
        with compute_in(self.given.precision, self.given.device):
            terms = self.find_critic_terms(made, batch.labels[CRITICS], batch.changes[CRITICS], *seen)
        loss: Tensor = terms[:, 0].mean()
        if self.weight and step % EVERY == 0:
            loss = loss + EVERY * self.weight / 2 * self.find_penalties(*seen).mean()
        if self.adaptation is not None:
            self.adaptation.observe(step, terms[:, 1])
        return loss

    def find_maker_loss(self, step: int) -> Tensor:
        """L_G."""
        batch = self.find_batch(step)
        with compute_in(self.given.precision, self.given.device), frozen(self.pair.critic):
            terms: Tensor = self.find_maker_terms(batch.latents[1], batch.labels[MAKERS], batch.changes[MAKERS])
        return terms.mean()

    def describe(self) -> dict[str, float]:
        """How strongly the critic's images were augmented."""
        return {} if self.adaptation is None else {"augment_probability": round(float(self.adaptation.p), 4)}

    def draw_rows(self, stream: int, step: int) -> Tensor:
        """Groups of GROUP images of one class, whose deviations the critic compares."""
        settings, seed = self.settings, self.given.seed
        groups = -(-settings.batch_size // GROUP)
        first = draw_batch(self.by_class, settings.class_balanced, groups, seed, step, stream)
        rng = np.random.default_rng([seed, step, stream, GROUP])
        members = [self.by_class[label] for label in self.labels[torch.from_numpy(first)].tolist()]
        rows = [rng.choice(own, GROUP, replace=len(own) < GROUP) for own in members]
        return torch.from_numpy(np.concatenate(rows)[: settings.batch_size])

    def draw_changes(self, streams: int, count: int, generator: torch.Generator) -> Tensor:
        return draw_numbers(streams * count, generator).unflatten(0, (streams, count))


class CriticTerms(nn.Module):
    """For parts of a batch, float32 [n, 2]: L_D of each row without its penalty, and the score of its real image."""

    def __init__(self, pair: StylePair) -> None:
        super().__init__()
        self.critic = pair.critic
        self.augment = pair.augment

    def forward(
        self, made: Tensor, made_labels: Tensor, made_numbers: Tensor, real: Tensor, labels: Tensor, numbers: Tensor
    ) -> Tensor:
        fake = self.critic(self.augment(made, made_numbers), made_labels)
        true = self.critic(self.augment(real, numbers), labels)
        return torch.stack([criticise(true, fake), true], dim=1)


class Penalties(nn.Module):
    """The steepness of each row, for parts of a batch, float32 [n]."""

    def __init__(self, pair: StylePair) -> None:
        super().__init__()
        self.critic = pair.critic
        self.augment = pair.augment

    def forward(self, real: Tensor, labels: Tensor, numbers: Tensor) -> Tensor:
        return find_steepness(self.critic, self.augment(real, numbers), labels)


class MakerTerms(nn.Module):
    """L_G of each row, for parts of a batch, float32 [n]; the critic only judges."""

    def __init__(self, pair: StylePair) -> None:
        super().__init__()
        self.maker, self.critic = pair.maker, pair.critic
        self.augment = pair.augment

    def forward(self, z: Tensor, labels: Tensor, numbers: Tensor) -> Tensor:
        return deceive(self.critic(self.augment(self.maker(z, labels), numbers), labels))
