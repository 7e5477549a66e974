"""Kind `instance` as a prior of guided imagination: a latent is the features that its flow is told.

So guidance moves an image's features, as GIF-DALLE does with its embedding, and the flow draws an image of them. `vary`
hides a share of the features, the sampler's strength, and `decode` starts from noise: both are those of the exported
sampler for the same variant. So an unperturbed variant is the sampler's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from torch import Tensor

from ops.generators.imaginable import Asked, draw_asked, to_levels
from ops.generators.instance.drawing import draw_told
from ops.generators.instance.flow import InstanceFlow
from ops.generators.instance.hiding import hide, show, take_hiding
from ops.generators.instance.network import InstanceNetworks
from ops.generators.instance.sizes import Shape
from ops.recipe.sampler import SamplerSettings


@dataclass(frozen=True, eq=False)
class InstancePrior:
    """An `OpenedPrior` of images of `shape` (C, H, W) that starts from a noise for each variant.

    latent_shape : (d,). noise : [n, C, H, W], from which n latents are decoded; None before `start_from`.
    """

    maths: InstanceFlow
    networks: InstanceNetworks
    sampler: SamplerSettings
    shape: Shape
    latent_shape: tuple[int]
    noise: Tensor | None = None

    @property
    def strength(self) -> float:
        """The share of the features that is hidden."""
        return self.sampler.settled_strength or 0.0

    def encode(self, images: Tensor) -> Tensor:
        """All features, standardised over the pool."""
        return self.networks.encoder.encode(images * 2 - 1)

    def vary(self, images: Tensor, requests: Sequence[Asked]) -> Tensor:
        """The features with a share of them hidden, for each request another way."""
        noise = draw_asked(self.shape, requests)
        return hide(self.encode(images), take_hiding(noise, *self.latent_shape), self.strength)

    def start_from(self, requests: Sequence[Asked]) -> InstancePrior:
        """The same, decoding as many latents as there are requests, each from the noise of its own."""
        return replace(self, noise=draw_asked(self.shape, requests))

    def decode(self, latents: Tensor) -> Tensor:
        """Images that have these features, as far as they are not hidden; ValueError before `start_from`."""
        if self.noise is None:
            raise ValueError("features are decoded from noise: say by start_from of which variants they are")
        drawn = draw_told(self.maths, self.networks.flow, show(latents, self.strength), self.noise, self.sampler)
        return to_levels(drawn)


def open_instance_prior(
    maths: InstanceFlow, networks: InstanceNetworks, shape: Shape, features: int, sampler: SamplerSettings
) -> InstancePrior:
    """The prior of trained networks; `sampler` has a solver, its steps and a strength (None hides nothing)."""
    return InstancePrior(maths, networks.requires_grad_(False), sampler, shape, (features,))
