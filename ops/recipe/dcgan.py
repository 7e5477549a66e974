"""The section `generator` of a recipe with kind `dcgan`: convolutions against a critic, with labels."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator

from ops.recipe.adversarial import AdversarialSettings, Change


class DcganSettings(AdversarialSettings):
    """A class-conditional DCGAN: transposed convolutions with batch norm, learnt against a critic."""

    kind: Literal["dcgan"] = Field("dcgan", description="convolutions against a critic, as in DCGAN, with labels")
    width: Annotated[int, Field(ge=8, le=256, multiple_of=8)] | None = Field(
        None,
        description="channels of the largest feature maps, a multiple of 8, doubled with each halving of the"
        " resolution; published as 128; null: 64 up to 32 pixels a side, 32 for more",
    )
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

    @field_validator("augment")
    @classmethod
    def _check_augment(cls, augment: tuple[Change, ...]) -> tuple[Change, ...]:
        if len(set(augment)) < len(augment):
            raise ValueError("augment names a change twice; name each once")
        return augment
