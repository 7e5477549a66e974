"""The section `data` of a recipe: which images of the source are used, and how they are thinned out or disturbed."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from ops.settings.section import Count, Fraction, Positive, Section

LONG_TAIL_LAWS: dict[str, dict[str, float]] = {  # with the keys that each reads and their defaults
    "exponential": {"ratio": 100.0},
    "zipf": {"exponent": 2.0, "floor": 5},
    "step": {"ratio": 100.0, "minority": 0.5},
}


class LongTailSettings(Section):
    """How many training images each class keeps: a few classes keep many, many classes keep few."""

    law: Literal["exponential", "zipf", "step"] = Field(
        "exponential",
        description="floor(head · ratio^(-i / (classes - 1))); max(floor(head / rank^exponent), floor); step",
    )
    head: Count | None = Field(None, description="images of the largest class; null: as many as it has")
    ratio: Annotated[float, Field(ge=1)] | None = Field(
        None, description="for exponential and step: size of the largest class over the smallest; null: 100"
    )
    exponent: Positive | None = Field(None, description="for zipf; null: 2")
    floor: Count | None = Field(None, description="for zipf: images of the smallest class; null: 5")
    minority: Annotated[float, Field(gt=0, lt=1)] | None = Field(
        None, description="for step: share of the classes that are small; null: 0.5"
    )
    order: Literal["label", "random", "available"] = Field(
        "label", description="which class is largest: the first, one drawn with the seed, or the one with most images"
    )

    @model_validator(mode="before")
    @classmethod
    def _fill_law(cls, keys: Any) -> Any:
        if not isinstance(keys, dict):
            return keys
        defaults = LONG_TAIL_LAWS.get(keys.get("law", "exponential"), {})
        return {**keys, **{key: value for key, value in defaults.items() if keys.get(key) is None}}

    @model_validator(mode="after")
    def _check_law(self) -> LongTailSettings:
        for key in ("ratio", "exponent", "floor", "minority"):
            if getattr(self, key) is not None and key not in LONG_TAIL_LAWS[self.law]:
                laws = " and ".join(law for law, keys in LONG_TAIL_LAWS.items() if key in keys)
                raise ValueError(f"{key} has no effect with law: {self.law}; it belongs to {laws}")
        return self


class DataSettings(Section):
    """Which part of the source is used, and how it is thinned out or disturbed on purpose."""

    classes: tuple[str, ...] | None = Field(None, strict=False, description="class names to keep; null keeps all")
    images_per_class: Count | None = Field(None, description="cap per class on train and validation; null keeps all")
    long_tail: LongTailSettings | None = Field(None, description="thins the training images out; null keeps all")
    nuisance: Literal["rotation", "background", "strokes"] | None = Field(
        None, description="one frozen draw for each stored image of all splits: ROT, BG and DIL of Kuzushiji-49-LT"
    )
    label_noise: Fraction = Field(0.0, description="share of training labels that are changed to another class")
    unlabelled: str | None = Field(
        None,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$",
        description="name of a file in sources/, without .yaml, whose training images have no labels. They and the"
        " labelled training images, without their labels, are then what is expanded; labels teach and judge probes."
        " Images that are labelled too are left out, by content; null: the labelled images are expanded",
    )
