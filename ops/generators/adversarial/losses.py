"""What critic and maker of every adversarial kind learn from, row by row: logistic losses that do not saturate.

Goodfellow et al. 2014; `ops.generators.adversarial.game` has the formulas. The module knows no batches and no steps.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ops.generators.adversarial.pair import Pair

SAMENESS = 1e-5  # L_ms has an end: images that are equal have the inverse of this

Augment = Callable[[Tensor, Tensor], Tensor]
"""Images [n, C, H, W] and their random numbers [n, ...] to what a critic sees of them."""


def criticise(real: Tensor, made: Tensor) -> Tensor:
    """L_D of each row, from scores [n] of real and of made images."""
    return F.softplus(made) + F.softplus(-real)


def deceive(made: Tensor) -> Tensor:
    """L_G of each row without L_ms, from scores [n] of made images."""
    return F.softplus(-made)


def find_sameness(made: Tensor, z: Tensor, labels: Tensor) -> Tensor:
    """L_ms of neighbouring rows that have one label; 0 where there are none."""
    alike = labels[1:] == labels[:-1]
    if not alike.any():
        return made.new_zeros(())
    images, latents = ((rows[1:] - rows[:-1])[alike].abs().mean() for rows in (made, z))
    return latents / (images + SAMENESS * latents)


class CriticTerms(nn.Module):
    """For parts of a batch, float32 [n, 2]: L_D of each row, and the score of its real image."""

    def __init__(self, critic: nn.Module, augment: Augment) -> None:
        super().__init__()
        self.critic, self.augment = critic, augment

    def forward(
        self, made: Tensor, made_labels: Tensor, made_changes: Tensor, real: Tensor, labels: Tensor, changes: Tensor
    ) -> Tensor:
        fake = self.critic(self.augment(made, made_changes), made_labels)
        true = self.critic(self.augment(real, changes), labels)
        return torch.stack([criticise(true, fake), true], dim=1)


class MakerTerms(nn.Module):
    """L_G of each row, for parts of a batch, float32 [n]; the critic only judges. L_ms is that of the part."""

    def __init__(self, pair: Pair, augment: Augment, mode_seeking: float = 0.0) -> None:
        super().__init__()
        self.maker, self.critic, self.augment, self.mode_seeking = pair.maker, pair.critic, augment, mode_seeking

    def forward(self, z: Tensor, labels: Tensor, changes: Tensor) -> Tensor:
        made = self.maker(z, labels)
        fooled = deceive(self.critic(self.augment(made, changes), labels))
        return fooled + self.mode_seeking * find_sameness(made, z, labels) if self.mode_seeking else fooled
