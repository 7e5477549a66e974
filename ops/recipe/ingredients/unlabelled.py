"""The keys of what an arm learns from images without labels: those of the pool that the recipe's prior saw.

It generates nothing. What a network says of an image takes the place of its label: while it learns (FixMatch), or after
it has learnt (pseudo-labels). It loads nothing that computes; `ops.classifiers.unlabelled` implements the kinds.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from ops.settings.kinds import Kind

MOST_RATIO = 16


class NoUnlabelled(Kind):
    """Images with labels alone."""

    kind: Literal["none"] = Field("none", description="images with labels alone")


class FixMatch(Kind):
    """The answer to a strong view of an unlabelled image must be the sure answer to a weak view."""

    kind: Literal["fixmatch"] = Field(
        "fixmatch",
        description="images of the prior's pool: where the network is sure of a weak view, it learns this answer for a"
        " strong view",
    )
    weight: float = Field(1.0, gt=0, le=100, description="λ of the term in the loss")
    threshold: float = Field(
        0.95, ge=0, le=1, description="τ: an answer must have a probability above it; 0: all count, 1: none"
    )
    ratio: float = Field(
        7.0,
        gt=0,
        le=MOST_RATIO,
        description="μ: images of the pool beside each labelled one of a batch, which stays as large as in other arms",
    )
    strength: float = Field(
        10.0, gt=0, lt=30, description="RandAugment's magnitude m of a strong view; the weak one is the arm's"
    )
    operations: int = Field(2, ge=1, le=10, description="RandAugment's n of a strong view")
    erasing: float = Field(
        0.5, ge=0, le=1, description="side of a square that is erased in half of the strong views; 0: none"
    )


class PseudoLabels(Kind):
    """A first network labels unlabelled images, and a second one learns from both."""

    kind: Literal["pseudo_labels"] = Field(
        "pseudo_labels",
        description="images of the prior's pool: a first network learns from the labelled images, says what it sees in"
        " these, and a second one learns from both",
    )
    labels: Literal["hard", "soft"] = Field(
        "hard", description="hard: the likeliest class; soft: the probabilities of all classes"
    )
    threshold: float = Field(
        0.9, ge=0, le=1, description="an answer must have a probability above it; 0: all count, 1: none"
    )
    balanced: bool = Field(
        False,
        description="images of each class that was named are shown equally often, but none more often than a labelled"
        " image",
    )
    ratio: float = Field(
        1.0,
        gt=0,
        le=MOST_RATIO,
        description="images of the pool in a batch for each labelled one, the batch being as large as in other arms;"
        " fewer where few answers are sure, since none is shown more often than a labelled image",
    )
    rounds: int = Field(
        1, ge=1, le=5, description="how often the pool is labelled anew, each time by the network before"
    )


UNLABELLED: dict[str, type[Kind]] = {"none": NoUnlabelled, "fixmatch": FixMatch, "pseudo_labels": PseudoLabels}
