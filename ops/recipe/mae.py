"""The section `prior` of a recipe with kind `mae`: a masked autoencoder, trained on the pool or elsewhere."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from ops.recipe.generator import TrainedSettings
from ops.recipe.learning import EmaDecay, Optimizer, WarmupSteps, WeightDecay
from ops.recipe.pretrained import PretrainedSettings
from ops.recipe.sampler import SamplerSettings
from ops.settings.section import Positive, Section

Share = Annotated[float, Field(ge=0, lt=1)]
Shares = tuple[Share, Share]
SCALED = 1000  # most images of the pool that latents are standardised by
# Keys that mean something beside weights from elsewhere.
KEPT_BESIDE_WEIGHTS = frozenset({"kind", "pool", "weights", "steps", "hidden"})


class TransformerSettings(Section):
    """A half of the network. A layer's hidden part is four times as wide as its tokens, as published."""

    width: int = Field(128, ge=8, le=2048, multiple_of=4, description="numbers of a token, a multiple of 4")
    layers: int = Field(4, ge=1, le=48, description="layers")
    heads: int = Field(4, ge=1, le=32, description="heads of the attention, a divisor of the width")

    @model_validator(mode="after")
    def _check_heads(self) -> Self:
        if self.width % self.heads:
            raise ValueError(f"heads {self.heads} must divide the width {self.width}")
        return self


class MaeDecoderSettings(TransformerSettings):
    """From tokens to patches."""

    width: int = Field(
        96, ge=8, le=2048, multiple_of=4, description="numbers of a token, a multiple of 4; latents have as many"
    )
    layers: int = Field(2, ge=1, le=48, description="layers")


class MaeWeightsSettings(PretrainedSettings):
    """Weights that learnt elsewhere."""

    licence: str = Field(min_length=1, description="licence of the weights, as their owner states it; cards repeat it")


class MaeSettings(TrainedSettings):
    """A masked autoencoder (He et al. 2022): a seed image's tokens are changed a little, or some hidden, and decoded.

    With `weights`, whose folder describes its network, keys of the network and of its training are refused.
    """

    class_keys: ClassVar[frozenset[str] | None] = frozenset({"seeds", "class_balanced", "max_copies"})
    imagines: ClassVar[bool] = True
    latents_are_maps: ClassVar[bool] = False

    kind: Literal["mae"] = Field("mae", description="masked autoencoder, a vision transformer")
    weights: MaeWeightsSettings | None = Field(
        None, description="null: trained on the pool; else these as they are, a ViTMAEForPreTraining of transformers"
    )
    patch: Annotated[int, Field(ge=2, le=32)] | None = Field(
        None, description="side of a patch in pixels; null: by size, so that a side has at most 8 (28 pixels: 4, 64: 8)"
    )
    encoder: TransformerSettings = Field(TransformerSettings(), description="from patches to tokens")
    decoder: MaeDecoderSettings = Field(MaeDecoderSettings(), description="from tokens to patches")
    mask: Shares = Field(
        (0.0, 0.75),
        strict=False,
        description="share of the patches that are hidden in training, least and most; drawn for each step; published"
        " as [0.75, 0.75]; one patch is hidden at least",
    )
    seen_weight: Annotated[float, Field(ge=0)] = Field(
        1.0,
        description="weight in the loss of patches that are not hidden; published as 0, which teaches nothing about how"
        " to draw these",
    )
    normalise: bool = Field(
        False,
        description="predict each patch relative to its own mean and deviation (published as norm_pix_loss); variants"
        " take these from their seed image",
    )
    hidden: Shares = Field(
        (0.0, 0.5),
        strict=False,
        description="share of a seed image's patches that a variant's encoder does not see, least and most; drawn for"
        " each variant; [0, 0]: it sees all",
    )
    steps: int = Field(1000, ge=0, description="optimizer steps; with weights 0, which is then the default")
    batch_size: int = Field(128, ge=1, description="images per optimizer step")
    optimizer: Optimizer = "muon"
    learning_rate: Positive = Field(0.01, description="decays linearly over the last 30 %; adamw needs about 0.002")
    weight_decay: WeightDecay = 0.01
    warmup_steps: WarmupSteps = 50
    ema_decay: EmaDecay = 0.995

    @model_validator(mode="before")
    @classmethod
    def _train_nothing(cls, given: Any) -> Any:
        """Weights from elsewhere are not trained, so their steps need not be written."""
        if isinstance(given, dict) and given.get("weights") is not None:
            return {"steps": 0, **given}
        return given

    @field_validator("mask", "hidden")
    @classmethod
    def _check_order(cls, shares: Shares) -> Shares:
        if shares[0] > shares[1]:
            raise ValueError(f"the least share, {shares[0]:g}, is above the most, {shares[1]:g}")
        return shares

    @model_validator(mode="after")
    def _check_training(self) -> Self:
        if self.weights is None:
            if not self.steps:
                raise ValueError("steps must be 1 or more without weights: the network would know nothing")
            return self
        if self.steps:
            raise ValueError("steps must be 0 with weights, which are taken as they are; remove it")
        fields = type(self).model_fields
        idle = [key for key in fields if key not in KEPT_BESIDE_WEIGHTS and getattr(self, key) != fields[key].default]
        if idle:
            raise ValueError(f"{idle[0]} has no effect with weights, which are taken as they are; remove it")
        return self

    def resolve_sampler(self, sampler: SamplerSettings) -> SamplerSettings:
        """One evaluation draws a variant, in fp32: of its layers, only convolutions could be quantised."""
        for key in ("solver", "steps"):
            if getattr(sampler, key) is not None:
                raise ValueError(f"{key} has no effect with kind: mae, which draws in one evaluation; remove it")
        if sampler.precision != "fp32":
            raise ValueError(f"precision must be fp32 with kind: mae; got {sampler.precision!r}")
        if sampler.strength == 0 and not self.hidden[1]:
            raise ValueError("strength 0 with prior.hidden [0, 0] makes all variants of an image equal; raise one")
        return sampler

    def list_inputs(self, sampler: SamplerSettings) -> tuple[str, ...]:
        return "noise", "image"
