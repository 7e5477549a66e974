"""The keys of every trainer of a network."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from ops.settings.kinds import Kind
from ops.settings.section import Count


class SupervisedTrainer(Kind):
    """Training on images and labels, from random weights."""

    kind: Literal["supervised"] = Field("supervised", description="on images and labels, from random weights")


class RefittedTrainer(Kind):
    """Supervised training, and then the last layer alone again with all classes equally often."""

    kind: Literal["refitted"] = Field(
        "refitted", description="then the last layer alone once more, with all classes equally often (cRT)"
    )
    epochs: Count = Field(400, description="passes over the features of the training images")


class FeatureDiffusionTrainer(Kind):
    """Supervised training, and then the last layer alone again on features that a diffusion model adds to."""

    kind: Literal["feature_diffusion"] = Field(
        "feature_diffusion", description="then the last layer once more, with generated features (LDMLR)"
    )
    epochs: Count = Field(400, description="passes over real and generated features")
    fill: Literal["share", "equalise"] = Field(
        "share", description="share: each class grows by `share`; equalise: all classes end equally large"
    )
    share: Annotated[float, Field(gt=0, le=100)] = Field(
        0.2, description="features generated per image of a class, at least 5"
    )
    steps: Count = Field(2000, description="optimizer steps of the diffusion model")


TRAINERS: dict[str, type[Kind]] = {
    "supervised": SupervisedTrainer,
    "refitted": RefittedTrainer,
    "feature_diffusion": FeatureDiffusionTrainer,
}
