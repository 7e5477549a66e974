"""The section `generator` of a recipe with kind `dcgan`: convolutions against a critic, with labels."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator

from ops.recipe.adversarial import AdversarialSettings, Change
from ops.settings.section import Positive


class DcganSettings(AdversarialSettings):
    """A class-conditional DCGAN: transposed convolutions with batch norm, learnt against a critic."""

    kind: Literal["dcgan"] = Field("dcgan", description="convolutions against a critic, as in DCGAN, with labels")
    width: Annotated[int, Field(ge=8, le=256, multiple_of=8)] | None = Field(
        None,
        description="channels of the largest feature maps, a multiple of 8, doubled with each halving of the"
        " resolution; published as 128; null: 64 up to 16 pixels a side, 32 for more",
    )
    learning_rate: Positive = Field(
        1e-3, description="of the maker; decays linearly over the last 30 %; published as 0.0002, for many more steps"
    )
    critic_rate: Positive | None = Field(None, description="learning rate of the critic; null: twice the maker's")
    spectral_norm: bool = Field(
        True,
        description="divide the critic's kernels by their largest singular value; false: batch norm, as published",
    )
    augment: tuple[Change, ...] = Field(
        ("translation", "cutout"),
        strict=False,
        description="differentiable changes of all that the critic sees, so that it learns few images less by heart:"
        " some of colour, translation and cutout; []: none",
    )

    mode_seeking: float = Field(
        0.1,
        ge=0,
        description="weight of a loss that keeps the maker from drawing one image of each class: how far numbers lie"
        " apart, relative to the images drawn from them; 0: none, as published",
    )

    @property
    def critics_rate(self) -> float:
        """The critic's learning rate."""
        return 2 * self.learning_rate if self.critic_rate is None else self.critic_rate

    @field_validator("augment")
    @classmethod
    def _check_augment(cls, augment: tuple[Change, ...]) -> tuple[Change, ...]:
        if len(set(augment)) < len(augment):
            raise ValueError("augment names a change twice; name each once")
        return augment
