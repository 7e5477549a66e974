"""The keys of every trainer of a network."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from ops.recipe.ingredients.contrastive import CONTRASTIVE
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
    share: Annotated[float, Field(ge=0, le=100)] = Field(
        0.2,
        description="features generated per image of a class, at least 5; 0: none, which shows what fitting the last"
        " layer once more is worth without them",
    )
    steps: Count = Field(2000, description="optimizer steps of the diffusion model")


class ProbeTrainer(Kind):
    """Logistic regression on features of the prior's encoder, which stays as it is."""

    kind: Literal["probe"] = Field(
        "probe",
        description="logistic regression on features of the prior's encoder, which learnt on the pool and stays as it"
        " is; its regularisation is chosen on validation",
    )
    views: int = Field(
        10,
        ge=0,
        le=100,
        description="views of each image, changed by the arm's augmentation, that are learnt from beside the image, but"
        " no more for each than make 5,000 images and views in all; 0, or without an augmentation: the images as they"
        " are, so that all seeds give the same network",
    )


class FineTunedTrainer(Kind):
    """Supervised training that begins with the prior's encoder."""

    kind: Literal["fine_tuned"] = Field(
        "fine_tuned", description="as supervised, but the network is the prior's encoder, which learnt on the pool"
    )
    encoder_rate: float = Field(
        0.1, gt=0, le=1, description="learning rate of the encoder, as a share of the last layer's"
    )


TRAINERS: dict[str, type[Kind]] = {
    "supervised": SupervisedTrainer,
    "refitted": RefittedTrainer,
    "feature_diffusion": FeatureDiffusionTrainer,
    "probe": ProbeTrainer,
    "fine_tuned": FineTunedTrainer,
    **CONTRASTIVE,
}
