"""The section `generator` of a recipe with kind `stylegan2`: styles against a critic, for few images.

It loads nothing that computes. `ops.generators.stylegan2` implements it.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from ops.recipe.adversarial import AdversarialSettings
from ops.recipe.learning import EmaDecay
from ops.settings.section import Count, Fraction, Positive

LATENT = 64
LEAST_PENALTY = 0.1  # where none is given
GROUP = 4  # images of one class whose deviation the critic sees: no cut of a batch parts them
EVERY = 16  # critic's steps of which one has the penalty of its steepness


class StyleGan2Settings(AdversarialSettings):
    """A class-conditional StyleGAN2, learnt against a critic whose images are augmented as far as it needs (ADA)."""

    truncates: ClassVar[bool] = True

    kind: Literal["stylegan2"] = Field("stylegan2", description="styles against a critic, as in StyleGAN2 with ADA")
    width: int = Field(
        16,
        ge=8,
        le=256,
        multiple_of=8,
        description="channels at the full resolution, a multiple of 8, doubled with each halving up to eight times",
    )
    latent: Count | None = Field(
        None, description="numbers of z, and of a style; published as 512; null: 64, or as many as a smaller image has"
    )
    layers: int = Field(
        2, ge=1, le=8, description="of the network from z to a style; published as 8, and as 2 for CIFAR-10"
    )
    steps: Count = Field(4000, description="optimizer steps, each one of the critic and one of the maker")
    batch_size: Annotated[int, Field(ge=8, multiple_of=GROUP)] = Field(
        32, description="images per optimizer step, at least 8, in fours of one class: a multiple of 4"
    )
    learning_rate: Positive = Field(0.0025, description="of the maker; decays linearly over the last 30 %")
    ema_decay: EmaDecay = 0.998
    penalty: Annotated[float, Field(ge=0)] | None = Field(
        None,
        description="weight γ of the critic's steepness at real images (R1); null: 0.1, or as published 0.0002 times"
        " the pixels of an image, divided by batch_size, where that is more",
    )
    augment_target: Fraction | None = Field(
        0.6,
        description="how sure of training images the critic may be before what it sees is augmented more strongly:"
        " the mean sign of its scores; null: nothing is augmented",
    )
    augment_images: Count = Field(
        50_000,
        description="real images that the critic sees while the probability of augmentation rises from 0 to 1, at the"
        " least; published as 500,000",
    )

    @model_validator(mode="after")
    def _check_augmentation(self) -> StyleGan2Settings:
        default = type(self).model_fields["augment_images"].default
        if self.augment_target is None and self.augment_images != default:
            raise ValueError("augment_images has no effect with augment_target: null; remove it")
        return self

    def find_latent(self, shape: tuple[int, int, int]) -> int:
        channels, height, width = shape
        return min(LATENT, channels * height * width) if self.latent is None else self.latent

    def find_penalty(self, shape: tuple[int, int, int]) -> float:
        """γ for images of `shape` (channels, height, width) (Karras et al. 2020b, appendix C).

        LEAST_PENALTY is a choice of this project, and no published one: the rule gives a smaller weight below about
        126 pixels a side at a batch of 32. For 32 x 32 images (CIFAR-10) the publication has 0.01, from memory.
        """
        published = 0.0002 * shape[1] * shape[2] / self.batch_size
        return max(LEAST_PENALTY, published) if self.penalty is None else self.penalty
