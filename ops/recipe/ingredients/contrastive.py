"""The keys of the trainers that learn to tell images by two views of each, without labels.

It loads nothing that computes; `ops.classifiers.contrastive` implements them.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from ops.recipe.ingredients.views import Standard
from ops.settings.kinds import Kind
from ops.settings.section import Count, Positive

THEN = "; then a logistic regression on its features of the labelled images, the offline probe"


class ContrastiveTrainer(Kind):
    """What these trainers have in common.

    standard : the views that the method is published with. extra : evaluations of averaged networks per image and step.
    """

    standard: ClassVar[Standard] = "standard"
    extra: ClassVar[int] = 0

    batch_size: Annotated[int, Field(ge=2)] = Field(
        256, description="images of an optimizer step, each seen twice, in the place of classifier.batch_size"
    )

    @classmethod
    def numbers(cls) -> dict[str, type]:
        """Without the batch: a grid changes no budget."""
        return {key: kind for key, kind in super().numbers().items() if key != "batch_size"}


class SimclrTrainer(ContrastiveTrainer):
    """Each view is told from the views of all other images of its batch."""

    kind: Literal["simclr"] = Field(
        "simclr", description="SimCLR: two views of an image are told from the other images of the batch" + THEN
    )
    temperature: Positive = Field(0.2, description="τ by which cosines are divided")


class MocoTrainer(ContrastiveTrainer):
    """Each view is told from the views that an averaged network saw in earlier batches."""

    standard: ClassVar[Standard] = "weak"
    extra: ClassVar[int] = 2

    kind: Literal["moco"] = Field(
        "moco", description="MoCo v2+: they are told from images of earlier batches, seen by an averaged network" + THEN
    )
    temperature: Positive = Field(0.2, description="τ by which cosines are divided")
    queue: Count = Field(
        4096,
        description="views of earlier batches that each is compared with, rounded down to whole batches, at least"
        " one; published: 32768",
    )
    decay: float = Field(
        0.99, ge=0, lt=1, description="of the averaged network's weights at the first step; it ends at 0.999"
    )


class ByolTrainer(ContrastiveTrainer):
    """What an averaged network sees in one view is predicted from the other one; there are no negatives."""

    standard: ClassVar[Standard] = "asymmetric"
    extra: ClassVar[int] = 2

    kind: Literal["byol"] = Field(
        "byol", description="BYOL: what an averaged network sees in one view is predicted from the other" + THEN
    )
    decay: Annotated[float, Field(ge=0, lt=1)] | None = Field(
        None,
        description="of the averaged network's weights at the first step; it ends at 1; null: 1 - 20 / steps, from 0 to"
        " 0.99, which averages over a twentieth of the steps",
    )

    @classmethod
    def numbers(cls) -> dict[str, type]:
        """With the decay, for arms that give one."""
        return {**super().numbers(), "decay": float}


class BarlowTwinsTrainer(ContrastiveTrainer):
    """What is seen in two views agrees, and no two numbers of it say the same."""

    standard: ClassVar[Standard] = "asymmetric"

    kind: Literal["barlow_twins"] = Field(
        "barlow_twins", description="Barlow Twins: two views give the same numbers, no two of which are alike" + THEN
    )
    redundancy: float = Field(0.0051, ge=0, le=10, description="λ: weight of the correlations of different numbers")


CONTRASTIVE: dict[str, type[Kind]] = {
    "simclr": SimclrTrainer,
    "moco": MocoTrainer,
    "byol": ByolTrainer,
    "barlow_twins": BarlowTwinsTrainer,
}
