"""Sections of an arm about generated images: whose labels they bear, what else is learnt from them, what replaces them.

It loads nothing that computes. `ops.classifiers` implements the kinds.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from ops.settings.kinds import Kind
from ops.settings.section import Positive

Fading = Annotated[float, Field(ge=0, lt=1)]


class LabelTargets(Kind):
    """The images' own labels."""

    kind: Literal["labels"] = Field("labels", description="the images' own labels")


class TeacherTargets(Kind):
    """Soft labels of a baseline arm's networks."""

    kind: Literal["teacher"] = Field("teacher", description="soft labels of the networks of a baseline arm")
    of: str = Field(description="the baseline arm whose networks, one for each seed, are the teachers together")
    temperature: Positive = Field(4.0, description="T by which logits are divided, the teachers' and the student's")
    weight: float = Field(
        1.0, gt=0, le=1, description="share of the teachers in the loss; the rest is the loss on the images' own labels"
    )
    images: Literal["generated", "real", "all"] = Field("all", description="which images the teachers label")
    relabel: bool = Field(
        False, description="also learn from generated images that were rejected for nothing but their label"
    )


class NoConsistency(Kind):
    """No further term."""

    kind: Literal["none"] = Field("none", description="no further term")


class EmaConsistency(Kind):
    """Agreement with an averaged network about two views of an image without its label."""

    kind: Literal["ema"] = Field(
        "ema", description="the answer to a strong view must agree with that of an averaged network to a weak view"
    )
    images: Literal["generated", "real"] = Field(
        "generated", description="where the views come from; generated images are then learnt from without their labels"
    )
    weight: Positive = Field(1.0, description="of the term in the loss, after the ramp")
    ratio: Annotated[float, Field(gt=0, le=8)] = Field(1.0, description="images of the term per image with a label")
    ramp: Fading = Field(0.2, description="share of the steps in which the weight grows from 0")
    decay: Annotated[float, Field(gt=0, lt=1)] = Field(0.99, description="of the averaged network's weights, per step")
    threshold: Fading = Field(0.0, description="images whose largest probability is lower are left out; 0 keeps all")
    strength: Annotated[float, Field(gt=0, lt=30)] = Field(
        8.0, description="RandAugment's magnitude m of the strong view; the weak one is the arm's augmentation"
    )
    operations: Annotated[int, Field(ge=1, le=10)] = Field(2, description="RandAugment's n of the strong view")


class NoPlacebo(Kind):
    """Generated images stay."""

    kind: Literal["none"] = Field("none", description="generated images stay")


class AugmentedPlacebo(Kind):
    """Strongly augmented real images in the place of generated ones."""

    kind: Literal["augmented"] = Field(
        "augmented", description="real images of the same class, each changed strongly and once, replace generated ones"
    )
    strength: Annotated[float, Field(gt=0, le=4)] = Field(
        1.0, description="1: shifts to 12 % of the side, scales to 1.3, turns to 20 degrees, contrast to 1.5"
    )


class MixedPlacebo(Kind):
    """Blends of two real images in the place of generated ones."""

    kind: Literal["mixed"] = Field(
        "mixed",
        description="blends of two real images of the same class, or of any where generated ones have no label, replace"
        " generated ones",
    )
    alpha: Positive = Field(1.0, description="λ ~ Beta(α, α) of each blend")


TARGETS: dict[str, type[Kind]] = {"labels": LabelTargets, "teacher": TeacherTargets}
CONSISTENCIES: dict[str, type[Kind]] = {"none": NoConsistency, "ema": EmaConsistency}
PLACEBOS: dict[str, type[Kind]] = {"none": NoPlacebo, "augmented": AugmentedPlacebo, "mixed": MixedPlacebo}
