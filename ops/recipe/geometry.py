"""The section `generator` of a recipe with kind `geometry`: how widely the training images allow to be moved."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from ops.recipe.generator import KindSettings
from ops.recipe.sampler import SamplerSettings
from ops.settings.section import Positive

LEAST = 6  # images of a class, so that each half has three, as an energy distance needs


class GeometrySettings(KindSettings):
    """Variants of seed images: turned, scaled, shifted and mirrored, as widely as cannot be told from the images."""

    kind: Literal["geometry"] = Field("geometry", description="moves of a seed image within its frame")
    rotation: float = Field(180.0, ge=0, le=180, description="widest turn to either side that is tried, in degrees")
    scale: float = Field(
        0.3, ge=0, le=1, description="widest change of size that is tried; 0.3: by factors from 1 / 1.3 to 1.3"
    )
    shift: float = Field(
        0.15, ge=0, le=0.5, description="widest shift that is tried, as a share of the width and of the height"
    )
    mirror: bool = Field(True, description="try whether left and right may change places")
    images: Annotated[int, Field(ge=LEAST)] = Field(
        500, description="training images on which the moves are tried, at most; those of the largest classes"
    )
    least: Annotated[int, Field(ge=LEAST)] = Field(20, description="images of a class that takes part in the test")
    errors: Positive = Field(
        2.5,
        description="standard errors by which moved images may differ from the data, in each of some ten trials;"
        " fewer: narrower moves",
    )

    narrow: bool = Field(
        True,
        description="as long as variants fail the gate, halve the move with the most standard errors of excess, if"
        " these are more than one",
    )

    @model_validator(mode="after")
    def _check_moves(self) -> Self:
        if not (self.rotation or self.scale or self.shift or self.mirror):
            raise ValueError("kind: geometry needs a move; set rotation, scale, shift or mirror")
        if self.images < self.least:
            raise ValueError(f"images {self.images} is below least {self.least}: no class could take part")
        return self

    def resolve_sampler(self, sampler: SamplerSettings) -> SamplerSettings:
        """Nothing is integrated, so only `usable_from` has an effect."""
        if sampler.strength is not None:
            raise ValueError("strength is not possible with kind: geometry; set rotation, scale, shift or mirror")
        for key in ("solver", "steps", "guidance", "precision"):
            if getattr(sampler, key) != SamplerSettings.model_fields[key].default:
                raise ValueError(f"{key} has no effect with kind: geometry, which moves pixels; remove it")
        return sampler

    def check_sizes(self, sizes: Sequence[int]) -> None:
        if max(sizes) < self.least:
            raise ValueError(
                f"no class has the {self.least} images that generator.least asks for; the largest has {max(sizes):,};"
                " lower it"
            )

    def list_inputs(self, sampler: SamplerSettings) -> tuple[str, ...]:
        return "noise", "image"
