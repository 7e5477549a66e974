"""Kind `flow` as a prior that imagines: f is the noised image, and decoding is the rest of the sampler.

There is no latent space to perturb in, so what is perturbed is the state at the time at which the strength lets the
solver start. Whatever the perturbation does is denoised like any other noise, and differentiating through the solver
costs a backward pass for each evaluation of the network.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ops.generators.denoising.network import ConditionalUNet
from ops.generators.denoising.sampling import make_evaluate
from ops.generators.imaginable import Asked, draw_asked, to_levels
from ops.generators.kinds.flow import Flow
from ops.recipe.generator import SamplerSettings

SPREAD = 1 / math.sqrt(3)  # standard deviation of levels that are uniform in -1..1


@dataclass(frozen=True, eq=False)
class PixelPrior:
    """An `OpenedPrior` of images of `latent_shape` (C, H, W). A latent is the state over its standard deviation."""

    maths: Flow
    network: ConditionalUNet
    sampler: SamplerSettings
    latent_shape: tuple[int, int, int]

    @property
    def strength(self) -> float:
        strength = self.sampler.settled_strength
        assert strength is not None
        return strength

    @property
    def scale(self) -> float:
        """The standard deviation of a state, for images whose levels are uniform."""
        return math.hypot(self.strength, (1 - self.strength) * SPREAD)

    def encode(self, images: Tensor) -> Tensor:
        """The image's share of the state, without noise."""
        return (images * 2 - 1) * ((1 - self.strength) / self.scale)

    def vary(self, images: Tensor, requests: Sequence[Asked]) -> Tensor:
        return draw_asked(self.latent_shape, requests) * (self.strength / self.scale) + self.encode(images)

    def decode(self, latents: Tensor) -> Tensor:
        solver, steps = self.sampler.solver, self.sampler.steps
        assert solver is not None and steps is not None
        evaluate = make_evaluate(self.network, torch.zeros(len(latents), dtype=torch.int64), self.sampler)
        state = latents * self.scale
        return to_levels(self.maths.integrate(evaluate, state, solver=solver, steps=steps, start=1 - self.strength))
