"""The keys of every pairing of images."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from ops.settings.kinds import Kind


class NoPairing(Kind):
    """Each image alone."""

    kind: Literal["none"] = Field("none", description="each image alone")


class Mixing(Kind):
    """What the kinds that mix a batch with itself have in common."""

    alpha: Annotated[float, Field(gt=0)] = 1.0
    per: Literal["batch", "pair", "element"] = Field(
        "batch",
        description="what draws its own λ: batch, with one permutation; element: each image, with the same permutation;"
        " pair: each of the pairs into which the batch is divided, whose two images are mixed with each other",
    )
    until: Annotated[float, Field(gt=0, le=1)] = Field(
        1.0,
        description="share of the steps after which images are no longer mixed; 1: mixed to the end",
    )


class Mixup(Mixing):
    """Batches blended with a permutation of themselves."""

    kind: Literal["mixup"] = Field("mixup", description="a batch is blended with a permutation of itself")
    alpha: Annotated[float, Field(gt=0)] = Field(
        1.0,
        description="λ ~ Beta(α, α); published: 1.0 on CIFAR, 0.2 to 0.4 on ImageNet and for small networks; 8 with"
        " 20 % wrong labels, 32 with 50 % and more",
    )


class CutMix(Mixing):
    """Batches into which boxes of a permutation of themselves are pasted."""

    kind: Literal["cutmix"] = Field("cutmix", description="a box of each image is replaced by that of another one")
    alpha: Annotated[float, Field(gt=0)] = Field(
        1.0, description="λ ~ Beta(α, α); the box takes 1 - λ of the area, less what lies outside of the image"
    )
    probability: Annotated[float, Field(gt=0, le=1)] = Field(
        1.0, description="probability that a λ is used at all; published: 0.5 on CIFAR, 1.0 on ImageNet"
    )


class SamplePairing(Kind):
    """Images averaged with others of the whole training set, whose labels are ignored."""

    kind: Literal["samplepairing"] = Field(
        "samplepairing",
        description="each image is averaged with one of the whole training set, drawn in proportion to weights; its own"
        " label stays",
    )
    start: float = Field(0.1, ge=0, description="images are averaged from here on; `total` gives the unit")
    until: Annotated[float, Field(gt=0)] = Field(
        0.8, description="images are averaged up to here; the rest is fine-tuning"
    )
    on_for: Annotated[float, Field(gt=0)] = Field(
        0.008, description="between start and until they are averaged for so long"
    )
    off_for: Annotated[float, Field(gt=0)] = Field(
        0.002, description="then they are left as they are for so long, in turn"
    )
    total: Annotated[float, Field(gt=0)] = Field(
        1.0,
        description="length of the training in the unit of these four, which is scaled to the arm's steps. 1: they are"
        " shares; 1000 with 100, 800, 8, 2: the published epochs on CIFAR; 290e+6 with 1.28e+6, 236e+6, 300e+3, 100e+3:"
        " the published images on ILSVRC",
    )
    partner: Literal["any", "different_class", "same_class"] = Field(
        "any", description="class of the other image, compared with its own"
    )

    @model_validator(mode="after")
    def _check_order(self) -> SamplePairing:
        if not self.start < self.until <= self.total:
            raise ValueError(
                f"start {self.start:g} must be below until {self.until:g}, and until at most total {self.total:g}"
            )
        return self


PAIRINGS: dict[str, type[Kind]] = {
    "none": NoPairing,
    "mixup": Mixup,
    "cutmix": CutMix,
    "samplepairing": SamplePairing,
}


def check_pairing(name: str, pairing: Kind, *, batch_size: int, finish: float) -> None:
    """ValueError if the arm `name` mixes batches of one image, or pairs real images with generated ones in the last
    share `finish` of its steps, in which it is to see real ones alone."""
    if isinstance(pairing, Mixing) and batch_size == 1:
        raise ValueError(
            f"pairing: {pairing.kind} of the arm {name!r} mixes the images of a batch, so classifier.batch_size must be"
            " 2 or more"
        )
    if isinstance(pairing, SamplePairing) and finish and pairing.until / pairing.total > 1 - finish:
        raise ValueError(
            f"pairing: samplepairing of the arm {name!r} averages images up to {pairing.until / pairing.total:g} of the"
            f" steps, also with generated ones, but finish {finish:g} is for real ones alone; lower one of them"
        )
