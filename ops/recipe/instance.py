"""The section `prior` of a recipe with kind `instance`: a flow that is told an image's features."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field

from ops.recipe.denoisers import DenoiserSettings
from ops.recipe.learning import EmaDecay, Optimizer, WarmupSteps, WeightDecay
from ops.recipe.sampler import SamplerSettings
from ops.settings.section import Count, Fraction, Positive, Section


class EncoderSettings(Section):
    """From an image to its features. It is trained first, and stays as it is while the flow learns."""

    features: int = Field(
        32,
        ge=2,
        le=256,
        description="numbers that describe an image; with more of them variants are nearer to their seed image",
    )
    width: int = Field(
        32,
        ge=8,
        le=256,
        multiple_of=8,
        description="channels at half the resolution, a multiple of 8; twice and four times as many at the next ones",
    )
    flip: Fraction = Field(
        0.0,
        description="share of views that are mirrored; only where classes allow it: variants may then be mirrored too",
    )
    steps: Count = Field(600, description="optimizer steps")
    batch_size: int = Field(128, ge=2, description="images per optimizer step, each in two views")
    optimizer: Optimizer = "muon"
    learning_rate: Positive = Field(0.01, description="decays linearly over the last 30 %; adamw needs about 0.002")
    weight_decay: WeightDecay = 0.01
    warmup_steps: WarmupSteps = 50
    ema_decay: EmaDecay = 0.995


class InstanceSettings(DenoiserSettings):
    """Another image with the features of a seed image: a rectified flow that is told features."""

    solvers: ClassVar[Mapping[str, int]] = {"heun": 3, "euler": 16}
    class_keys: ClassVar[frozenset[str] | None] = frozenset(
        {"seeds", "class_balanced", "class_transfer", "label_dropout", "max_copies", "pseudo_labels"}
    )
    imagines: ClassVar[bool] = True
    latents_are_maps: ClassVar[bool] = False
    encodes: ClassVar[bool] = True
    has_features: ClassVar[bool] = False  # what its network is told, no other image could be told

    kind: Literal["instance"] = Field("instance", description="rectified flow that is told an image's features")
    encoder: EncoderSettings = Field(EncoderSettings(), description="from an image to its features")

    def list_inputs(self, sampler: SamplerSettings) -> tuple[str, ...]:
        return "noise", "image"

    def _check_strength(self, strength: float | str | None) -> None:
        """Any share may be hidden: with none, a variant is another image of the same features."""
