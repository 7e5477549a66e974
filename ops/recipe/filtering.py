"""The section `filter` of a recipe: which rules reject generated images, and where each of them cuts."""

from __future__ import annotations

from typing import Any

from pydantic import Field, model_validator

from ops.recipe.section import Fraction, Section


class Cut(Section):
    """Where a rule cuts. A number alone stands for `real_rejected`."""

    real_rejected: Fraction | None = Field(
        None,
        description="share of held-out real images that may be rejected: thresholds follow from it, class by class",
    )
    threshold: float | None = Field(None, description="one threshold for all classes instead")

    @model_validator(mode="before")
    @classmethod
    def _take_number(cls, value: Any) -> Any:
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        return {"real_rejected": float(value)} if is_number else value

    @model_validator(mode="after")
    def _check_one(self) -> Cut:
        if (self.real_rejected is None) == (self.threshold is None):
            raise ValueError("a rule takes either a share of real images or {threshold: ...}")
        return self


class FilterSettings(Section):
    """Which generated images are rejected, beside exact copies and repeats, which always are."""

    wrong_label: Cut | None = Field(
        Cut(real_rejected=0.1), description="the scorer's probability of the image's own label is low"
    )
    atypical: Cut | None = Field(
        Cut(real_rejected=0.01), description="it lies far from the images of its class in the scorer's features"
    )
    near_copy: Cut | None = Field(
        Cut(real_rejected=0.01),
        description="it lies nearer to a real image than held-out real images do, compared with how near to another"
        " one that image lies itself",
    )
    near_repeat: Cut | None = Field(
        Cut(real_rejected=0.01), description="so near to an earlier generated image of its class"
    )
    blank: Cut | None = Field(Cut(real_rejected=0.001), description="its pixels hardly differ")
    saturated: Cut | None = Field(Cut(real_rejected=0.001), description="more of its pixels are black or white")
