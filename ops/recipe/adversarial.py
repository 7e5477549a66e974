"""What the sections `generator` of kinds share that learn against a critic. It loads nothing that computes."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from ops.recipe.generator import TrainedSettings
from ops.recipe.learning import EmaDecay, WeightDecay
from ops.recipe.sampler import SamplerSettings
from ops.settings.section import Count, Positive

Change = Literal["colour", "translation", "cutout"]


class AdversarialSettings(TrainedSettings):
    """The training of a maker and its critic in turns."""

    latent: Count | None = Field(
        None, description="numbers that an image is drawn from; null: 100, or as many as a smaller image has"
    )
    steps: Count = Field(4000, description="optimizer steps, each one of the critic and one of the maker")
    batch_size: Annotated[int, Field(ge=8)] = Field(64, description="images per optimizer step, at least 8")
    learning_rate: Positive = Field(2e-4, description="of the maker; decays linearly over the last 30 %")
    critic_rate: Positive | None = Field(None, description="learning rate of the critic; null: the maker's")
    weight_decay: WeightDecay = 0.0
    warmup_steps: int = Field(0, ge=0, description="steps over which the learning rates rise")
    ema_decay: EmaDecay = 0.998

    @property
    def critics_rate(self) -> float:
        """The critic's learning rate."""
        return self.learning_rate if self.critic_rate is None else self.critic_rate

    def resolve_sampler(self, sampler: SamplerSettings) -> SamplerSettings:
        """One evaluation draws an image, in fp32: no key changes how."""
        for key in ("solver", "steps", "guidance"):
            if getattr(sampler, key) != SamplerSettings.model_fields[key].default:
                raise ValueError(
                    f"{key} has no effect with kind: {self.kind}, which draws in one evaluation; remove it"
                )
        if sampler.strength is not None:
            raise ValueError(f"strength is not possible with kind: {self.kind}, which draws from noise alone")
        if sampler.precision != "fp32":
            raise ValueError(f"precision must be fp32 with kind: {self.kind}; got {sampler.precision!r}")
        return sampler

    def find_latent(self, shape: tuple[int, int, int]) -> int:
        """Numbers that an image of `shape` (channels, height, width) is drawn from."""
        channels, height, width = shape
        return min(LATENT, channels * height * width) if self.latent is None else self.latent


LATENT = 100  # as published for DCGAN
