"""Pipelines as priors of guided imagination: what is perturbed, how it is decoded, how an image varies by itself.

| prior | latent | varies an image by | decodes by |
|---|---|---|---|
| Stable Diffusion (GIF-SD) | of its autoencoder, (4, h, w) | image-to-image under its prompt | the autoencoder |
| unCLIP (GIF-DALLE) | the image embedding, (d,) | noise on the embedding | the whole diffusion, from one noise |

They have the members of `ops.imagination.protocols.VaryingPrior`. Latents have a variance of about 1, by the scales
that come with the pipelines. Images are of the dataset's size: the pipeline's are reduced before anyone sees them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ops.generators.diffusion.classes import ClassTable, compare_classes
from ops.generators.diffusion.diffuser import NOISE, Diffuser
from ops.generators.diffusion.generator import PipelineGenerator
from ops.generators.diffusion.numbers import Draw
from ops.generators.diffusion.sizes import enlarge, reduce
from ops.generators.imaginable import Asked
from ops.recipe.diffusion import StableDiffusionSettings, UnclipSettings
from ops.recipe.generator import SamplerSettings


@dataclass(frozen=True, eq=False)
class StableDiffusionPrior:
    """Perturbs the denoised latent of image-to-image.

    shape : (C, H, W) of the dataset's images. table : the classes in the order of the labels. strength : of `vary`, in
    0..1.
    """

    diffuser: Diffuser
    shape: tuple[int, int, int]
    table: ClassTable
    strength: float

    @property
    def latent_shape(self) -> tuple[int, ...]:
        return self.diffuser.latent_shape

    def encode(self, images: Tensor) -> Tensor:
        """Latents float32 [n, *latent_shape] of images [n, C, H, W] in 0..1, without gradients."""
        return self.diffuser.encode(self._enlarge(images))

    def decode(self, latents: Tensor) -> Tensor:
        """Images [n, C, H, W] in 0..1, differentiable."""
        return reduce(self.diffuser.decode(latents), self.shape)

    def vary(self, images: Tensor, requests: Sequence[Asked]) -> Tensor:
        """Latents of one variant of each image under a prompt of its label."""
        draws = name_requests(requests)
        prompts = [
            self.table.write(request.label, draw.choose(len(self.table.templates), "template"))
            for request, draw in zip(requests, draws, strict=True)
        ]
        return self.diffuser.vary(self._enlarge(images), prompts, draws, self.strength)

    def find_flagged(self, latents: Tensor) -> Tensor:
        """Of which latents the pipeline's safety checker flags the image, at its full size; bool [n]."""
        with torch.no_grad():
            return self.diffuser.find_flagged(self.diffuser.decode(latents))

    def _enlarge(self, images: Tensor) -> Tensor:
        return enlarge(images.to(self.diffuser.parts.device), self.diffuser.side)


@dataclass(frozen=True, eq=False)
class UnclipPrior:
    """Perturbs the image embedding. A scorer that reads latents needs no decoding while it guides.

    noise_level : on the embedding, a step of its schedule in 0..999; at a low level the variants of an image differ
    little before they are perturbed. key : names the noise from which images are decoded, and that of `encode`. It is
    one for all latents, because a latent does not say which image it belongs to; `start_from` gives a prior with
    another noise, such as one for each seed image.
    """

    diffuser: Diffuser
    shape: tuple[int, int, int]
    noise_level: int
    key: str = ""

    @property
    def latent_shape(self) -> tuple[int, ...]:
        return (int(self.diffuser.parts.unet.config.projection_class_embeddings_input_dim) // 2,)

    def start_from(self, key: str) -> UnclipPrior:
        """The same prior, decoding from the noise of another name."""
        return replace(self, key=key)

    def encode(self, images: Tensor) -> Tensor:
        """Scaled embeddings float32 [n, d] of images [n, C, H, W] in 0..1, without gradients.

        Noise of the level is on them, the same for all, because `decode` tells the network that there is some.
        """
        draws = [Draw(self.key)] * len(images)
        return self.diffuser.scale_embeddings(
            self.diffuser.noise_embeddings(self._see(images), draws, self.noise_level)
        )

    def decode(self, latents: Tensor) -> Tensor:
        """Images [n, C, H, W] in 0..1, differentiable through every step of the diffusion, whose memory that takes."""
        noise = Draw(self.key).normal(self.diffuser.latent_shape, NOISE).to(self.diffuser.parts.device)
        many = noise.expand(len(latents), *noise.shape)
        return reduce(self.diffuser.decode(self.diffuser.denoise_embedded(latents, many, self.noise_level)), self.shape)

    def vary(self, images: Tensor, requests: Sequence[Asked]) -> Tensor:
        """Scaled embeddings with noise of the level on them."""
        noised = self.diffuser.noise_embeddings(self._see(images), name_requests(requests), self.noise_level)
        return self.diffuser.scale_embeddings(noised)

    def _see(self, images: Tensor) -> Tensor:
        return self.diffuser.see(enlarge(images.to(self.diffuser.parts.device), self.diffuser.side))


def name_requests(requests: Sequence[Asked]) -> list[Draw]:
    """The random numbers of variants."""
    return [Draw(request.key, request.k, request.seed, request.round_) for request in requests]


def make_prior(
    generator: PipelineGenerator, sampler: SamplerSettings, class_names: Sequence[str]
) -> StableDiffusionPrior | UnclipPrior:
    """The prior of an opened generator of variants; `sampler` is resolved.

    class_names : of the scorer that is to guide, in the order of its labels. UserError if the generator's are others.
    ValueError for one that draws from text.
    """
    compare_classes(generator.config["class_names"], class_names, "the scorer")
    settings, diffuser = generator.settings, generator.make_diffuser(sampler)
    if isinstance(settings, UnclipSettings):
        return UnclipPrior(diffuser, generator.shape, settings.noise_level)
    assert isinstance(settings, StableDiffusionSettings)
    if settings.mode != "image" or sampler.settled_strength is None:
        raise ValueError("a prior varies images: the generator needs mode: image and a strength")
    return StableDiffusionPrior(diffuser, generator.shape, generator.table, sampler.settled_strength)
