"""The section `generator` of a recipe with kind `munit`: a transform, learnt from all classes without labels."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from ops.recipe.generator import TrainedSettings
from ops.recipe.learning import EmaDecay, WeightDecay
from ops.recipe.sampler import SamplerSettings
from ops.settings.section import Count, Fraction, Positive

Weight = Annotated[float, Field(ge=0)]


class MunitSettings(TrainedSettings):
    """Variants of seed images: content of the image, random style; learnt from all classes without labels (MUNIT)."""

    kind: Literal["munit"] = Field("munit", description="content of a seed image, random style")
    branches: Literal[1, 2] = Field(
        1, description="2: two autoencoders that translate into each other, as published; 1: one that varies its own"
    )
    sampling: Literal["same", "crossed"] = Field(
        "same",
        description="with two branches: which encoder's content the first decoder varies; same: its own, as published;"
        " crossed: the other one's, as in training",
    )
    width: int = Field(
        16, ge=8, le=256, multiple_of=8, description="channels of the first layer, a multiple of 8; published as 64"
    )
    blocks: int = Field(4, ge=1, le=9, description="residual blocks of the encoder, and as many of the decoder")
    style: int = Field(8, ge=1, le=64, description="numbers of a style")
    halvings: Annotated[int, Field(ge=1, le=4)] | None = Field(
        None,
        description="how often the content halves the resolution, published as 2; null: by size (28 and 32 pixels:"
        " 1, 64: 2)",
    )
    steps: Count = Field(2000, description="optimizer steps, each one of the critic and one of the maker")
    batch_size: Count = Field(16, description="images per optimizer step; published as 1")
    learning_rate: Positive = Field(1e-3, description="of the maker; decays linearly over the last 30 %")
    critic_rate: Positive | None = Field(None, description="learning rate of the critic; null: twice the maker's")
    weight_decay: WeightDecay = 1e-4
    warmup_steps: int = Field(50, ge=0, description="steps over which the learning rates rise")
    ema_decay: EmaDecay = 0.995
    adversary: Literal["lsgan", "hinge"] = Field("lsgan", description="the loss between critic and maker")
    spectral_norm: bool = Field(True, description="divide the critic's kernels by their largest singular value")
    reconstruction: Weight = Field(
        40.0, description="weight of finding an image again from its content and style; published as 10"
    )
    content: Weight = Field(1.0, description="weight of finding the content again in a variant")
    consistency: Weight = Field(1.0, description="weight of finding the style again in a variant")
    cycle: Weight = Field(
        0.0, description="weight of finding an image again from its variant's content and its own style"
    )
    flip: Fraction = Field(0.0, description="share of training images that are mirrored; only where classes allow it")
    augment: Fraction = Field(
        0.0,
        description="share of the critic's images, real and made alike, that each move changes (shift, scale, turn)",
    )

    @model_validator(mode="after")
    def _check_branches(self) -> Self:
        if self.sampling == "crossed" and self.branches == 1:
            raise ValueError("sampling: crossed needs branches: 2")
        return self

    @property
    def critics_rate(self) -> float:
        """The critic's learning rate."""
        return 2 * self.learning_rate if self.critic_rate is None else self.critic_rate

    def resolve_sampler(self, sampler: SamplerSettings) -> SamplerSettings:
        """One evaluation draws a variant, in fp32; `strength` is the only key that changes how."""
        for key in ("solver", "steps", "guidance"):
            if getattr(sampler, key) != SamplerSettings.model_fields[key].default:
                raise ValueError(f"{key} has no effect with kind: munit, which draws in one evaluation; remove it")
        if sampler.precision != "fp32":
            raise ValueError(f"precision must be fp32 with kind: munit; got {sampler.precision!r}")
        if sampler.strength == "auto" and sampler.keeps is None:
            raise ValueError(
                "strength: auto needs keeps: how often variants must be named rightly, relative to their images"
            )
        return sampler

    def list_inputs(self, sampler: SamplerSettings) -> tuple[str, ...]:
        return "noise", "image"
