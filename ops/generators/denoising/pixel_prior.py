"""Kind `flow` as a prior that imagines: f is the noised image, and decoding is the rest of the sampler.

There is no latent space to perturb in, so what is perturbed is the state at the time at which the strength lets the
solver start. The solver removes as much noise as the strength has put in, and would leave in the image whatever a
perturbation adds to it. So the noise of a perturbed state is scaled back to what it was (`PixelPrior.settle`).
Differentiating through the solver costs a backward pass for each evaluation of the network.
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
from ops.recipe.sampler import SamplerSettings

TINY = 1e-6  # the least deviation to divide by
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

    def settle(self, moved: Tensor, latents: Tensor, clean: Tensor) -> Tensor:
        """What `moved` [n, C, H, W] adds to the image's share `clean`, with the deviation that `latents`' noise has.

        In each channel; its mean, by which the image becomes brighter or darker, is kept.
        """
        added = moved - clean
        level = added.mean(dim=(2, 3), keepdim=True)
        before, after = ((x - clean).std(dim=(2, 3), keepdim=True) for x in (latents, moved))
        settled = clean + level + (added - level) * (before / after.clamp(min=TINY))
        return torch.where((moved == latents).all(dim=(1, 2, 3), keepdim=True), moved, settled)

    def decode(self, latents: Tensor) -> Tensor:
        solver, steps = self.sampler.solver, self.sampler.steps
        assert solver is not None and steps is not None
        evaluate = make_evaluate(self.network, torch.zeros(len(latents), dtype=torch.int64), self.sampler)
        state = latents * self.scale
        return to_levels(self.maths.integrate(evaluate, state, solver=solver, steps=steps, start=1 - self.strength))
