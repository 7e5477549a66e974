"""The keys of the views that contrastive trainers compare, and the settings of AdaInf's published runs by name.

The table is that of the configurations that AdaInf was trained with (Wang et al. 2024, the code's CIFAR files). It
loads nothing that computes; `ops.classifiers.augmentations.views` makes the views.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, model_validator

from ops.settings.kinds import Kind
from ops.settings.section import Fraction

_SYMMETRIC = {"hue": 0.2, "grey": 0.2, "blur": 0.5, "solarize": 0.0}
_ASYMMETRIC = {"brightness": 0.4, "contrast": 0.4, "saturation": 0.2, "hue": 0.1}
_ASYMMETRIC |= {"grey": 0.2, "blur": 0.0, "solarize": 0.2}
_GENTLE = _SYMMETRIC | {"brightness": 0.4, "contrast": 0.4, "saturation": 0.4, "hue": 0.1}

Standard = Literal["standard", "weak", "asymmetric"]
"""The views that a method is published with."""

PRESETS: dict[str, dict[str, float]] = {
    "standard": _SYMMETRIC | {"crop": 0.08, "jitter": 0.8, "brightness": 0.8, "contrast": 0.8, "saturation": 0.8},
    "weak": _GENTLE | {"crop": 0.08, "jitter": 0.8},
    "adainf": _GENTLE | {"crop": 0.2, "jitter": 0.4},
    "asymmetric": _ASYMMETRIC | {"crop": 0.08, "jitter": 0.8},
    "asymmetric_adainf": _ASYMMETRIC | {"crop": 0.2, "jitter": 0.4},
}


class Views(Kind):
    """A random resized crop, then changes of colour: the views of contrastive training."""

    kind: Literal["views"] = Field("views", description="random resized crops and colours, for contrastive trainers")
    preset: Literal["standard", "weak", "adainf", "asymmetric", "asymmetric_adainf"] | None = Field(
        None,
        description="published values of the keys below, of which each may be given another one: standard, of SimCLR;"
        " weak, of MoCo; asymmetric, of BYOL and Barlow Twins; adainf and asymmetric_adainf, AdaInf's weaker ones;"
        " null: of an arm with a contrastive trainer its standard, at the arm's strength; elsewhere standard",
    )
    crop: float = Field(0.08, gt=0, le=1, description="smallest share of the area that a view shows; 1: all of it")
    jitter: Fraction = Field(0.8, description="probability that brightness, contrast, saturation and hue change")
    brightness: Fraction = Field(0.8, description="a factor of brightness is drawn from 1 - this to 1 + this")
    contrast: Fraction = Field(0.8, description="likewise of contrast")
    saturation: Fraction = Field(0.8, description="likewise of saturation; grey images have none")
    hue: float = Field(0.2, ge=0, le=0.5, description="share of the circle by which hues turn at most, either way")
    grey: Fraction = Field(0.2, description="probability that a view loses its colours")
    blur: Fraction = Field(0.5, description="probability of a blur, with a standard deviation of 0.1 to 2 pixels")
    solarize: Fraction = Field(
        0.0, description="probability that light levels are inverted; of two views only the second may be"
    )
    flip: Fraction = Field(0.5, description="probability that a view is mirrored, left to right")

    @model_validator(mode="before")
    @classmethod
    def _take_preset(cls, keys: Any) -> Any:
        preset = keys.get("preset") if isinstance(keys, Mapping) else None
        return {**PRESETS[preset], **keys} if isinstance(preset, str) and preset in PRESETS else keys
