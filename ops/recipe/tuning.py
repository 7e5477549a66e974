"""The keys of the search for a training policy."""

from __future__ import annotations

from pydantic import Field, model_validator

from ops.settings.section import Count, Section


class TuningSettings(Section):
    """What is chosen on validation before any arm is trained, for all arms alike."""

    policy: bool = Field(
        False,
        description="choose the augmentation of all that say `augmentation: auto`, how networks standardise images, and"
        " width and stride of a small_resnet where the recipe leaves them to their defaults, or its stride is 4 from 96"
        " pixels on",
    )
    steps: Count | None = Field(None, description="optimizer steps of each training of the search; null: as classifier")
    most_steps: Count | None = Field(
        None, description="double classifier.steps while that helps mixup, up to so many; null keeps them"
    )
    folds: int = Field(
        3,
        ge=2,
        le=10,
        description="training and validation images are divided into so many; not from 1,000 of these on",
    )

    @model_validator(mode="after")
    def _check_policy(self) -> TuningSettings:
        defaults = type(self).model_fields
        idle = [key for key in ("steps", "most_steps", "folds") if getattr(self, key) != defaults[key].default]
        if idle and not self.policy:
            raise ValueError(f"{idle[0]} has no effect without policy: true")
        return self
