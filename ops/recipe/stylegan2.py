"""The section `generator` of a recipe with kind `stylegan2`: a GAN with styles, for few images.

It loads nothing that computes. `ops.generators.stylegan2` implements it.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from ops.recipe.generator import TrainedSettings
from ops.recipe.learning import EmaDecay
from ops.settings.section import Count, Positive


class StyleGan2Settings(TrainedSettings):
    """A class-conditional StyleGAN2 with adaptive discriminator augmentation."""

    kind: Literal["stylegan2"] = Field("stylegan2", description="StyleGAN2 with adaptive augmentation")
    width: int = Field(16, ge=8, le=256, multiple_of=8, description="channels of the finest grid")
    latent: int = Field(64, ge=8, le=512, description="numbers of z and of a style")
    layers: int = Field(2, ge=1, le=8, description="of the mapping network")
    steps: Count = 2000
    batch_size: Count = 32
    learning_rate: Positive = 0.0025
    ema_decay: EmaDecay = 0.998
