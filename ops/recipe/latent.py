"""The section `generator` of a recipe with kind `latent`: a flow among the codes of a small autoencoder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from ops.recipe.denoisers import AnyFlowSettings
from ops.recipe.learning import EmaDecay, Optimizer, WarmupSteps, WeightDecay
from ops.settings.section import Count, Positive, Section

MOST_HALVINGS = 4

Weight = Annotated[float, Field(ge=0)]


class AutoencoderSettings(Section):
    """Between images and their latents; it is trained first, and stays as it is while the flow learns."""

    halvings: Annotated[int, Field(ge=1, le=MOST_HALVINGS)] | None = Field(
        None,
        description="how often a side of the images is halved to that of the latents; null: by size (28 to 64 pixels:"
        " 2, 65 to 128: 3, more: 4)",
    )
    channels: int = Field(4, ge=1, le=32, description="numbers of a latent at each place")
    width: int = Field(
        32,
        ge=8,
        le=256,
        multiple_of=8,
        description="channels at half the resolution, a multiple of 8; twice and four times as many at the next ones",
    )
    blocks: int = Field(1, ge=1, le=4, description="residual blocks at each resolution")
    kl: Weight = Field(
        1e-3, description="weight of the Kullback-Leibler divergence of a latent's numbers from a standard normal"
    )
    perceptual: Weight = Field(
        0.2, description="weight of differences in the maps of a network with random weights, beside those of pixels"
    )
    steps: Count = Field(1000, description="optimizer steps")
    batch_size: Count = Field(32, description="images per optimizer step")
    optimizer: Optimizer = "muon"
    learning_rate: Positive = Field(0.005, description="decays linearly over the last 30 %; adamw needs about 0.001")
    weight_decay: WeightDecay = 0.0
    warmup_steps: WarmupSteps = 50
    ema_decay: EmaDecay = 0.995


class LatentSettings(AnyFlowSettings):
    """A class-conditional rectified flow among the latents of a small autoencoder, for images of 64 to 128 pixels."""

    solvers: ClassVar[Mapping[str, int]] = {"heun": 6, "euler": 24}
    encodes: ClassVar[bool] = True

    kind: Literal["latent"] = Field("latent", description="rectified flow in the latents of an autoencoder")
    unshuffle: Literal[1, 2, 4] = Field(1, description="the flow works at 1/unshuffle of the latents' resolution")
    batch_size: Count = Field(64, description="latents per optimizer step of the flow")
    autoencoder: AutoencoderSettings = Field(AutoencoderSettings(), description="between images and their latents")
