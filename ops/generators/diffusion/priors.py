"""Pipelines as priors of guided imagination: what is perturbed, how it is decoded, how an image varies by itself.

| prior | latent | varies an image by | decodes by |
|---|---|---|---|
| Stable Diffusion (GIF-SD) | of its autoencoder, (4, h, w) | image-to-image under its prompt | the autoencoder |
| unCLIP (GIF-DALLE) | the image embedding, (d,) | noise on the embedding | the diffusion, from a noise of its own |

They have the members of `ops.imagination.protocols.VaryingPrior`, and of other priors there. Latents have a variance of
about 1, by the scales that come with the pipelines. Images are of the dataset's size: the pipeline's are reduced before
anyone but the safety checker sees them. Prompt and noise of a variant are those of the drawer of plain variants, so one
without a perturbation is the pipeline's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ops.generators.diffusion.classes import ClassTable
from ops.generators.diffusion.diffuser import NOISE, Diffuser
from ops.generators.diffusion.generator import PipelineGenerator, write_prompts
from ops.generators.diffusion.numbers import Draw, name_draws, stack_normals
from ops.generators.diffusion.sizes import enlarge, reduce
from ops.generators.imaginable import Asked, draw_asked
from ops.recipe.diffusion import StableDiffusionSettings, UnclipSettings
from ops.recipe.sampler import SamplerSettings

SEED_IMAGE = Draw("seed image")  # of the noise on the embedding of an image that is not varied


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

    @property
    def is_checked(self) -> bool:
        """Whether the pipeline's safety checker looks at finished images."""
        return self.diffuser.is_checked

    def finish(self, latents: Tensor) -> tuple[Tensor, Tensor]:
        """`decode` without gradients, and which images the checker flags at their full size, bool [n]."""
        with torch.no_grad():
            whole = self.diffuser.decode(latents)
            return reduce(whole, self.shape), self.diffuser.find_flagged(whole)

    def write_prompts(self, requests: Sequence[Asked]) -> list[str]:
        """The prompt of each variant, of the class of its label."""
        return self._write(requests, name_requests(self.shape, requests))

    def vary(self, images: Tensor, requests: Sequence[Asked]) -> Tensor:
        """Latents of one variant of each image under a prompt of its label."""
        draws = name_requests(self.shape, requests)
        diffuser = self.diffuser.copy()  # threads share the prior, and a schedule remembers the step that it is at
        return diffuser.vary(self._enlarge(images), self._write(requests, draws), draws, self.strength)

    def _write(self, requests: Sequence[Asked], draws: Sequence[Draw]) -> list[str]:
        return write_prompts(self.table, [request.label for request in requests], draws)

    def _enlarge(self, images: Tensor) -> Tensor:
        return enlarge(images.to(self.diffuser.parts.device), self.diffuser.side)


@dataclass(frozen=True, eq=False)
class UnclipPrior:
    """Perturbs the image embedding. A scorer that reads latents needs no decoding while it guides.

    shape : (C, H, W) of the dataset's images. noise_level : on the embedding, a step of its schedule in 0..999.
    draws : of the variants that are decoded, row by row; none before `start_from`.
    """

    diffuser: Diffuser
    shape: tuple[int, int, int]
    noise_level: int
    draws: tuple[Draw, ...] = ()

    @property
    def latent_shape(self) -> tuple[int, ...]:
        return (int(self.diffuser.parts.unet.config.projection_class_embeddings_input_dim) // 2,)

    def start_from(self, requests: Sequence[Asked]) -> UnclipPrior:
        """The same, decoding as many latents as there are requests, each from the noise of its own."""
        return replace(self, draws=tuple(name_requests(self.shape, requests)))

    def encode(self, images: Tensor) -> Tensor:
        """Scaled embeddings float32 [n, d] of images [n, C, H, W] in 0..1, without gradients.

        Noise of the level is on them, the same for all, because `decode` tells the network that there is some.
        """
        return self._embed(images, [SEED_IMAGE] * len(images))

    def decode(self, latents: Tensor) -> Tensor:
        """Images [n, C, H, W] in 0..1, differentiable through every step; ValueError before `start_from`."""
        if len(self.draws) != len(latents):
            raise ValueError("embeddings are decoded from noise: say by start_from of which variants they are")
        noise = stack_normals(self.draws, self.diffuser.latent_shape, NOISE)
        drawn = self.diffuser.denoise_embedded(latents, noise, self.noise_level)
        return reduce(self.diffuser.decode(drawn), self.shape)

    def vary(self, images: Tensor, requests: Sequence[Asked]) -> Tensor:
        """Scaled embeddings with noise of the level on them."""
        return self._embed(images, name_requests(self.shape, requests))

    def _embed(self, images: Tensor, draws: Sequence[Draw]) -> Tensor:
        seen = self.diffuser.see(enlarge(images.to(self.diffuser.parts.device), self.diffuser.side))
        return self.diffuser.scale_embeddings(self.diffuser.noise_embeddings(seen, draws, self.noise_level))


def name_requests(shape: tuple[int, int, int], requests: Sequence[Asked]) -> list[Draw]:
    """The random numbers of variants, which are those of the drawer of plain variants of images of `shape`."""
    return name_draws(draw_asked(shape, requests))


def build_prior(generator: PipelineGenerator, sampler: SamplerSettings) -> StableDiffusionPrior | UnclipPrior:
    """The prior of an opened generator; `sampler` is resolved. ValueError for a generator that draws from text."""
    settings, diffuser = generator.settings, generator.make_diffuser(sampler)
    if isinstance(settings, UnclipSettings):
        return UnclipPrior(diffuser, generator.shape, settings.noise_level)
    assert isinstance(settings, StableDiffusionSettings)
    if settings.mode != "image" or sampler.settled_strength is None:
        raise ValueError("a prior varies images: the generator needs mode: image and a strength")
    return StableDiffusionPrior(diffuser, generator.shape, generator.table, sampler.settled_strength)
