"""The ingredients of an arm: the keys of every kind, and the arm that combines one kind of each.

It loads nothing that computes; `ops.classifiers` implements the kinds. A new kind needs a section and a registry line
here, and a file and a registry line there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from ops.recipe.guidance import CONSISTENCIES, PLACEBOS, TARGETS, LabelTargets, NoConsistency, NoPlacebo
from ops.settings.kinds import Kind, OneOf
from ops.settings.section import Count, Positive, Section


class NoAugmentation(Kind):
    """Images as they are."""

    kind: Literal["none"] = Field("none", description="images as they are")


class FlipCrop(Kind):
    """Random mirroring and shifts."""

    kind: Literal["flip_crop"] = Field("flip_crop", description="random mirroring and shifts")
    strength: float = Field(
        1 / 14, ge=0, le=0.5, description="largest shift as a share of the shorter side; 0 only mirrors"
    )


class RandAugment(Kind):
    """Two random operations on geometry or colour, after mirroring and a shift."""

    kind: Literal["randaugment"] = Field("randaugment", description="two random operations after mirroring and a shift")
    strength: float = Field(10.0, gt=0, lt=30, description="RandAugment's magnitude m; its n is 2")
    flip: float = Field(0.5, ge=0, le=1, description="probability that an image is mirrored first")


class Policy(Kind):
    """Single operations, each with a strength; 0 leaves it out."""

    kind: Literal["policy"] = Field("policy", description="operations of your choice, each with its strength")
    shift: float = Field(0.0, ge=0, le=0.5, description="share of the shorter side by which images move at most")
    scale: float = Field(0.0, ge=0, le=2, description="images are scaled by 1 / (1 + scale) to 1 + scale")
    rotation: float = Field(0.0, ge=0, le=180, description="degrees by which images are turned at most, either way")
    flip: float = Field(0.0, ge=0, le=1, description="probability that an image is mirrored, left to right")
    channel_order: float = Field(0.0, ge=0, le=1, description="probability that colour channels change places")
    inversion: float = Field(0.0, ge=0, le=1, description="probability that an image is shown as its negative")
    grey: float = Field(0.0, ge=0, le=1, description="probability that an image loses its colours")
    gain: float = Field(0.0, ge=0, le=4, description="contrast is multiplied by 1 / (1 + gain) to 1 + gain")
    offset: float = Field(0.0, ge=0, le=1, description="share of the range by which brightness changes at most")
    blur: float = Field(0.0, ge=0, le=8, description="standard deviation of a Gaussian blur, at most, in pixels")
    noise: float = Field(0.0, ge=0, le=0.5, description="standard deviation of noise, as a share of the range, at most")
    erasing: float = Field(0.0, ge=0, le=1, description="side of a square that is erased in half of the images")


class AutoAugmentation(Kind):
    """The policy that the stage `training_policy` chose on validation."""

    kind: Literal["auto"] = Field("auto", description="the policy that validation chose; needs tuning.policy: true")


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
        1.0, description="share of the steps after which images are no longer mixed; 1: mixed to the end"
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


class PlainLoss(Kind):
    """Cross-entropy."""

    kind: Literal["plain"] = Field("plain", description="cross-entropy")


class ClassWeightedLoss(Kind):
    """Cross-entropy in which rare classes weigh more."""

    kind: Literal["class_weighted"] = Field("class_weighted", description="cross-entropy times W / (K · W_c)")


class UniformSampler(Kind):
    """Images in proportion to their weights."""

    kind: Literal["uniform"] = Field("uniform", description="images in proportion to their weights")


class ClassBalancedSampler(Kind):
    """All classes equally often."""

    kind: Literal["class_balanced"] = Field("class_balanced", description="all classes equally often: oversampling")


class SupervisedTrainer(Kind):
    """Training on images and labels, from random weights."""

    kind: Literal["supervised"] = Field("supervised", description="on images and labels, from random weights")


Standardise = Literal["none", "image", "grey"]


class Network(Kind):
    """What networks of every kind have in common."""

    standardise: Standardise = Field(
        "none",
        description="image: each image has mean 0 and standard deviation 1; grey: after its channels were averaged",
    )


class SmallResNet(Network):
    """A residual network of two stages that suits CPUs."""

    kind: Literal["small_resnet"] = Field("small_resnet", description="two residual stages, for CPUs")
    width: Count = Field(32, description="channels of the first stage; the second has twice as many")
    stem: Literal[1, 2] | None = Field(
        None,
        description="layers before the first block; null: 2 for images of 64 pixels a side and above or stride 4, else"
        " 1",
    )
    stride: Literal[1, 2, 4] = Field(
        2, description="by how much the stem reduces the resolution; 1 costs about four times as much as 2"
    )

    @model_validator(mode="after")
    def _check_stride(self) -> SmallResNet:
        if self.stride == 4 and self.stem == 1:
            raise ValueError("stride 4 needs a stem of 2 layers")
        return self


class ResNet18(Network):
    """ResNet-18 as used on CIFAR: no pooling in the stem, full resolution in the first stage."""

    kind: Literal["resnet18"] = Field("resnet18", description="ResNet-18 with a stem for small images")
    width: Count = Field(64, description="channels of the first of its four stages; each later one has twice as many")


class Mlp(Network):
    """Fully connected layers on the pixels."""

    kind: Literal["mlp"] = Field("mlp", description="fully connected layers with batch normalisation")
    widths: Annotated[tuple[Count, ...], Field(min_length=1, max_length=8, strict=False)] = Field(
        (256, 256), description="neurons of the hidden layers"
    )


AUGMENTATIONS: dict[str, type[Kind]] = {
    "none": NoAugmentation,
    "auto": AutoAugmentation,
    "flip_crop": FlipCrop,
    "policy": Policy,
    "randaugment": RandAugment,
}
PAIRINGS: dict[str, type[Kind]] = {
    "none": NoPairing,
    "mixup": Mixup,
    "cutmix": CutMix,
    "samplepairing": SamplePairing,
}
LOSSES: dict[str, type[Kind]] = {"plain": PlainLoss, "class_weighted": ClassWeightedLoss}
SAMPLERS: dict[str, type[Kind]] = {"uniform": UniformSampler, "class_balanced": ClassBalancedSampler}
TRAINERS: dict[str, type[Kind]] = {"supervised": SupervisedTrainer}
NETWORKS: dict[str, type[Network]] = {"small_resnet": SmallResNet, "resnet18": ResNet18, "mlp": Mlp}

INGREDIENTS: dict[str, Mapping[str, type[Kind]]] = {  # of an arm, by its keys
    "augmentation": AUGMENTATIONS,
    "pairing": PAIRINGS,
    "sampler": SAMPLERS,
    "loss": LOSSES,
    "targets": TARGETS,
    "consistency": CONSISTENCIES,
    "placebo": PLACEBOS,
    "trainer": TRAINERS,
}
ONLY_EXPANDED = ("real_weight", "finish", "separate", "placebo")  # keys of an arm without effect on real images alone


class Arm(Section):
    """One way of training: the ingredients in which it differs from plain training."""

    augmentation: Annotated[Kind, OneOf(AUGMENTATIONS)] = Field(
        NoAugmentation(), description="label-preserving changes, drawn again each time an image is shown"
    )
    pairing: Annotated[Kind, OneOf(PAIRINGS)] = Field(NoPairing(), description="images and labels that are blended")
    sampler: Annotated[Kind, OneOf(SAMPLERS)] = Field(UniformSampler(), description="how often images are shown")
    loss: Annotated[Kind, OneOf(LOSSES)] = Field(PlainLoss(), description="loss of a batch's predictions")
    targets: Annotated[Kind, OneOf(TARGETS)] = Field(LabelTargets(), description="what images are taught")
    consistency: Annotated[Kind, OneOf(CONSISTENCIES)] = Field(
        NoConsistency(), description="a term of the loss that needs no labels"
    )
    placebo: Annotated[Kind, OneOf(PLACEBOS)] = Field(
        NoPlacebo(),
        description="for an arm under `expanded`: what takes the place of the generated images, with their labels and"
        " weights; such an arm counts as one without generated images",
    )
    trainer: Annotated[Kind, OneOf(TRAINERS)] = Field(SupervisedTrainer(), description="how the network is trained")
    real_weight: Positive | None = Field(
        None, description="for an arm under `expanded`: its own N; null: mix.real_weight"
    )
    finish: float = Field(
        0.0, ge=0, lt=1, description="for an arm under `expanded`: last share of the steps, on real images alone"
    )
    separate: Literal["norm", "head", "both"] | None = Field(
        None,
        description="for an arm under `expanded`: layers that generated images have for themselves in training;"
        " null: none",
    )

    @model_validator(mode="before")
    @classmethod
    def _name_new_spelling(cls, keys: Any) -> Any:
        if isinstance(keys, dict) and "mixup_alpha" in keys:
            raise ValueError("mixup_alpha is now written pairing: {kind: mixup, alpha: ...}")
        return keys

    def ingredient(self, name: str) -> Kind:
        """The settings of the ingredient called `name`, a key of `INGREDIENTS`."""
        found: Kind = getattr(self, name)
        return found


def check_pairing(name: str, arm: Arm, batch_size: int) -> None:
    """ValueError if an arm's pairing has nothing to mix in batches of one, or pairs real images with generated ones
    while the arm is to see real ones alone."""
    pairing = arm.pairing
    if isinstance(pairing, Mixing) and batch_size == 1:
        raise ValueError(
            f"pairing: {pairing.kind} of the arm {name!r} mixes the images of a batch, so classifier.batch_size must be"
            " 2 or more"
        )
    if isinstance(pairing, SamplePairing) and arm.finish and pairing.until / pairing.total > 1 - arm.finish:
        raise ValueError(
            f"pairing: samplepairing of the arm {name!r} averages images up to {pairing.until / pairing.total:g} of the"
            f" steps, also with generated ones, but finish {arm.finish:g} is for real ones alone; lower one of them"
        )
