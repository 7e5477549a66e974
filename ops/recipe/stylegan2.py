"""The section `generator` of a recipe with kind `stylegan2`: styles against a critic, for few images.

It loads nothing that computes. `ops.generators.stylegan2` implements it.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from ops.recipe.adversarial import AdversarialSettings
from ops.recipe.learning import EmaDecay
from ops.settings.section import Count, Fraction, Positive

LATENT = 64
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
    batch_size: Annotated[int, Field(ge=8)] = Field(32, description="images per optimizer step, at least 8")
    learning_rate: Positive = Field(0.0025, description="of the maker; decays linearly over the last 30 %")
    ema_decay: EmaDecay = 0.998
    penalty: Annotated[float, Field(ge=0)] | None = Field(
        None,
        description="weight γ of the critic's steepness at real images (R1); null: 0.0002 times the pixels of an image,"
        " divided by batch_size",
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

    @property
    def critics_rate(self) -> float:
        """Lower where every EVERY-th step has a penalty, which acts like one more step (`losses.slow_down`)."""
        return super().critics_rate * (EVERY / (EVERY + 1) if self.penalty != 0 else 1.0)

    def find_latent(self, shape: tuple[int, int, int]) -> int:
        channels, height, width = shape
        return min(LATENT, channels * height * width) if self.latent is None else self.latent

    def find_penalty(self, shape: tuple[int, int, int]) -> float:
        """γ for images of `shape` (channels, height, width) (Karras et al. 2020b, appendix C)."""
        return 0.0002 * shape[1] * shape[2] / self.batch_size if self.penalty is None else self.penalty
