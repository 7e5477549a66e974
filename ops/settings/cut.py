"""The cutoff of a rule: the one recipe value that can be written in two ways."""

from __future__ import annotations

from typing import Any

from pydantic import Field, model_validator

from ops.settings.section import Fraction, Section


class Cut(Section):
    """The cutoff of a rule. A number alone stands for `real_rejected`."""

    real_rejected: Fraction | None = Field(
        None,
        description="share of held-out real images that may be rejected; it sets a threshold for each class",
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
            raise ValueError("write either a share of real images or {threshold: ...}")
        return self
