"""The ingredients of an arm: the keys of every kind, and the arm that combines one kind of each.

It loads nothing that computes; `ops.classifiers` implements the kinds. A new kind needs a section and a registry line
here, and a file and a registry line there. Losses, pairings and samplers are in `ops.recipe.ingredients`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from ops.recipe.ingredients.guidance import CONSISTENCIES, PLACEBOS, TARGETS, LabelTargets, NoConsistency, NoPlacebo
from ops.recipe.ingredients.hiding import Cutout, GridMask
from ops.recipe.ingredients.losses import LOSSES, PlainLoss
from ops.recipe.ingredients.pairings import PAIRINGS, Mixing, NoPairing
from ops.recipe.ingredients.samplers import SAMPLERS, UniformSampler
from ops.recipe.ingredients.trainers import TRAINERS, SupervisedTrainer
from ops.recipe.ingredients.unlabelled import UNLABELLED, NoUnlabelled
from ops.recipe.ingredients.variants import VARIANTS, NoVariants
from ops.recipe.ingredients.views import Views
from ops.recipe.strength import AUTO as AUTO
from ops.recipe.strength import fill_in, read_strength, weaken_labelled
from ops.settings.kinds import Kind, OneOf
from ops.settings.section import Count, Fraction, Positive, Section


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
    """Random operations on geometry or colour, after mirroring and a shift."""

    kind: Literal["randaugment"] = Field("randaugment", description="random operations after mirroring and a shift")
    strength: float = Field(10.0, gt=0, lt=30, description="RandAugment's magnitude m")
    operations: int = Field(2, ge=1, le=10, description="RandAugment's n: operations on an image, one after the other")
    flip: float = Field(0.5, ge=0, le=1, description="probability that an image is mirrored first")
    shift: float = Field(
        1 / 14, ge=0, le=0.5, description="largest shift as a share of the shorter side, before the operations"
    )

    @classmethod
    def numbers(cls) -> dict[str, type]:
        """Without the shift, so that `augmentation.shift` in a grid is that of policies alone."""
        return {key: kind for key, kind in super().numbers().items() if key != "shift"}


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


HUGE = 96  # pixels of the shorter side from which the usual stem quarters it (`growset bench strides`)
Standardise = Literal["none", "image", "grey"]


class Network(Kind):
    """What networks of every kind have in common."""

    standardise: Standardise = Field(
        "none",
        description="image: each image has mean 0 and standard deviation 1; grey: after its channels were averaged",
    )

    def needs_two(self, side: int) -> bool:
        """Whether a batch of one image has one place for its last normalisation, whose variance is then undefined.

        side: the longer one of the images, in pixels.
        """
        return True


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

    def needs_two(self, side: int) -> bool:
        return side <= 2 * self.stride


def find_stride(side: int) -> Literal[2, 4]:
    """The usual stride for images with a shorter side of so many pixels."""
    return 4 if side >= HUGE else 2


class ResNet18(Network):
    """ResNet-18 as used on CIFAR: no pooling in the stem, full resolution in the first stage."""

    kind: Literal["resnet18"] = Field("resnet18", description="ResNet-18 with a stem for small images")
    width: Count = Field(64, description="channels of the first of its four stages; each later one has twice as many")

    def needs_two(self, side: int) -> bool:
        return side <= 8


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
    "cutout": Cutout,
    "gridmask": GridMask,
    "views": Views,
}
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
    "variants": VARIANTS,
    "unlabelled": UNLABELLED,
}
# Keys of an arm without effect on real images alone.
ONLY_EXPANDED = ("real_weight", "beta", "ratio", "finish", "separate", "placebo")
NO_GENERATED = 1.0  # beta of an arm whose generated images the controller left out; no recipe may say it


class Arm(Section):
    """One way of training: the ingredients in which it differs from plain training.

    A dump has `variants`, `unlabelled`, `ratio`, `beta` and `strength` only where there are any, so that results
    from before these keys stay valid. What `strength` means is written into `augmentation` and `pairing` when the arm
    is read.
    """

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
    variants: Annotated[Kind, OneOf(VARIANTS)] = Field(
        NoVariants(),
        description="images of a batch that are shown as variants of themselves; generated images are then no images"
        " of the training set, but variants of their parents",
    )
    unlabelled: Annotated[Kind, OneOf(UNLABELLED)] = Field(
        NoUnlabelled(),
        description="what a baseline learns from the images of the prior's pool, which have no labels; nothing is"
        " generated",
    )
    real_weight: Positive | Literal["auto"] | None = Field(
        None,
        description="for an arm under `expanded`: its own N; auto: chosen by a race on validation, which may leave out"
        " the generated images; null: mix.real_weight",
    )
    ratio: Positive | None = Field(
        None,
        description="for an arm under `expanded`: its own expansion ratio, at most plan.ratio. It learns from those"
        " generated images that were drawn first, at most so many for each real image of their class; variants come by"
        " turns of their seed images. So a smaller set is part of a larger one; null: all",
    )
    beta: Annotated[float, Field(gt=0, lt=1)] | None = Field(
        None,
        description="for an arm under `expanded`: share of real images in what is shown, in the place of real_weight;"
        " null: N decides",
    )
    strength: Fraction | Literal["auto"] | None = Field(
        None,
        description="how strongly images are augmented, unless augmentation or pairing say it; 1: as the trainer is"
        " published, 0.5: AdaInf's weaker views, 0: no crop and no colours. Of a supervised arm 1 stands for"
        " RandAugment of strength 10, shifts of 1/8 and mixup of alpha 1; auto: chosen by a race on validation; null:"
        " these keys alone say it",
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

    @model_validator(mode="before")
    @classmethod
    def _apply_strength(cls, keys: Any) -> Any:
        return fill_in(keys) if isinstance(keys, Mapping) else keys

    @model_validator(mode="after")
    def _check_weights(self) -> Arm:
        if self.beta is not None and self.real_weight is not None:
            raise ValueError(
                f"beta {self.beta:g} and real_weight {_show(self.real_weight)} both say how much real images weigh;"
                " remove one of them"
            )
        if self.beta is not None and self.sampler.kind != "uniform":
            raise ValueError(
                f"beta is the share of real images in all that is shown, and sampler: {self.sampler.kind} changes it;"
                " write real_weight in its place, or remove the sampler"
            )
        return self

    @model_validator(mode="after")
    def _check_labels(self) -> Arm:
        if self.loss.kind != "ldam" or not isinstance(self.pairing, Mixing):
            return self
        asked = None if self.strength is None else weaken_labelled(read_strength(self.strength))
        meant = None if asked is None else OneOf(PAIRINGS).read(asked["pairing"])
        if self.pairing == meant:
            raise ValueError(
                f"loss: ldam needs hard labels, and strength {self.strength} sets pairing: {self.pairing.kind}, which"
                " blends them; add pairing: none, or remove one"
            )
        raise ValueError(f"loss: ldam needs hard labels, and pairing: {self.pairing.kind} blends them; remove one")
        return self

    @model_serializer(mode="wrap")
    def _leave_out(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        found: dict[str, Any] = dump(self)
        absent = {
            "variants": NoVariants(),
            "unlabelled": NoUnlabelled(),
            **dict.fromkeys(("ratio", "beta", "strength")),
        }
        for key, nothing in absent.items():
            if getattr(self, key) == nothing:
                found.pop(key, None)
        return found

    def spell_out(self) -> Arm:
        """The arm by what it does: without its strength and the preset of its views, whose values other keys hold.

        Arms that train alike are then equal, whichever of these the recipe wrote. A strength that is still to be chosen
        stays.
        """
        changes: dict[str, Any] = {} if self.strength == AUTO else {"strength": None}
        if isinstance(self.augmentation, Views):
            changes["augmentation"] = self.augmentation.model_copy(update={"preset": None})
        return self.model_copy(update=changes)

    def ingredient(self, name: str) -> Kind:
        """The settings of the ingredient called `name`, a key of `INGREDIENTS`."""
        found: Kind = getattr(self, name)
        return found


def _show(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:g}"
