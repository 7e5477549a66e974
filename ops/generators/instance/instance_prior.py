"""Kind `instance` as a prior of guided imagination: a latent is the features that its flow is told.

So guidance moves an image's features before anything is decoded, as GIF-DALLE does with its embedding. `vary` hides a
share of the features, the sampler's strength, with the noise that the exported sampler hides them with for the same
variant. `decode` knows no variant, only latents: it starts each from the same noise. So what distinguishes variants
here is their features alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ops.generators.imaginable import Asked, draw_asked, to_levels
from ops.generators.instance.drawing import draw_told
from ops.generators.instance.hiding import hide, show, take_hiding
from ops.generators.instance_kind import MATHS, InstanceGenerator
from ops.generators.noise import draw_noise
from ops.recipe.generator import SamplerSettings

START = "imagination start"  # unit of the noise that is decoded from


@dataclass(frozen=True, eq=False)
class InstancePrior:
    """A `VaryingPrior`. noise : [1, C, H, W], which every latent is decoded from."""

    generator: InstanceGenerator
    sampler: SamplerSettings
    noise: Tensor

    @property
    def latent_shape(self) -> tuple[int, ...]:
        return (self.generator.config["features"],)

    @property
    def strength(self) -> float:
        """The share of the features that is hidden."""
        return self.sampler.settled_strength or 0.0

    def encode(self, images: Tensor) -> Tensor:
        """All features, standardised over the pool: float32 [n, d] of images float32 [n, C, H, W] in 0..1."""
        return self.generator.networks.encoder.encode(images * 2 - 1)

    def vary(self, images: Tensor, requests: Sequence[Asked]) -> Tensor:
        """The features with a share of them hidden, for each request another way."""
        noise = draw_asked(self.noise.shape[1:], requests).to(images)
        return hide(self.encode(images), take_hiding(noise, *self.latent_shape), self.strength)

    def decode(self, latents: Tensor) -> Tensor:
        """Images float32 [n, C, H, W] in 0..1 that have these features, as far as they are not hidden."""
        noise = self.noise.to(latents).expand(len(latents), -1, -1, -1)
        drawn = draw_told(MATHS, self.generator.networks.flow, show(latents, self.strength), noise, self.sampler)
        return to_levels(drawn)


def make_instance_prior(
    generator: InstanceGenerator, sampler: SamplerSettings, *, seed: int, round_: int = 0
) -> InstancePrior:
    """The prior of a trained generator; `sampler` has a solver, its steps and a strength (None hides nothing)."""
    generator.networks.requires_grad_(False)
    config = generator.config
    shape = config["channels"], config["height"], config["width"]
    noise = draw_noise(shape, seed=seed, round_=round_, unit=START, start=0, count=1)
    return InstancePrior(generator, sampler, torch.from_numpy(noise))
