"""The section `sampler` of a recipe: how an exported sampler turns noise, or a seed image, into images.

It loads nothing that computes.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from ops.recipe.imagination import ImaginationSettings
from ops.settings.section import Fraction, Section


class SamplerSettings(Section):
    """How the exported sampler draws; null means the kind's default."""

    solver: str | None = Field(
        None,
        description="flow, latent and edm: heun, euler; ddpm, stable-diffusion and unclip: dpmpp, ddim; heun costs"
        " 2·steps - 1 network evaluations, the others cost steps",
    )
    steps: int | None = Field(None, ge=1, le=64, description="steps of the solver")
    guidance: float = Field(
        1.0,
        ge=0,
        le=100,
        description="scale of classifier-free guidance, away from unlabelled drawing; 1: no guidance;"
        " stable-diffusion: 7.5 and unclip: 10 where it is left out",
    )
    strength: Fraction | Literal["auto"] | None = Field(
        None,
        description="how far a variant may leave its seed image, a real training image. flow and latent: the share of"
        " noise that is mixed into the seed image and removed again, at least 0.01; null: images are drawn from noise"
        " alone. munit: the share of random style in place of the image's own; null: all of it. prior: as with flow,"
        " and required; of kind instance, the share of noise in place of the image's features, and of kind mae, in"
        " place of its tokens. munit and prior, auto: the widest of 1, 0.8, 0.6, 0.4 and 0.2 (prior: from 0.8 on) with"
        " which `moves` and `keeps` refuse no class."
        " stable-diffusion: the share of the steps that are taken, from the noised seed image on; needed with mode:"
        " image",
    )
    truncation: Fraction | None = Field(
        None,
        description="stylegan2: styles are drawn towards the mean of their class, to this share of their distance, for"
        " more typical and less diverse images; null: 1, they are not",
    )
    precision: Literal["fp32", "int8", "fp16"] = Field(
        "fp32", description="int8 is faster on CPUs, fp16 on GPUs; used only if its quality is within 5 % of fp32's"
    )
    usable_from: Fraction | None = Field(
        0.55,
        description="how far the images must lie from empty ones (0: noise, blurred or shuffled images, class means)"
        " towards real ones (1), by the mean of three feature spaces; below it nothing is generated; null: they are"
        " generated anyway",
    )
    moves: float | None = Field(
        2.0,
        ge=0,
        le=255,
        description="for variants of real images: how many grey levels two variants of an image must differ by, on"
        " average over a class; below it nothing is generated for the class; null: not asked",
    )
    keeps: Fraction | None = Field(
        0.9,
        description="for variants of real images: how often the scorer must name them rightly, relative to their"
        " images; a common class is judged by its own variants, a rare one by those of the common ones; below it"
        " nothing is generated for the class; null: not asked",
    )
    imagination: ImaginationSettings | None = Field(
        None,
        description="for variants by a prior, or by stable-diffusion or unclip: their latents are perturbed, and guided"
        " by the scorer; null: they are not",
    )

    @property
    def settled_strength(self) -> float | None:
        """The strength as a number; ValueError where it is still to be chosen."""
        if isinstance(self.strength, str):
            raise ValueError(f"strength: {self.strength} draws nothing before the gate has chosen a number")
        return self.strength


DRAWS_WITH = ("solver", "steps", "guidance", "strength")  # keys that images of a pipeline follow from
