"""The keys of variants: images of a batch that are shown as variants of themselves, above all those of rare classes.

Generative invariance transfer (Zhou et al. 2022, algorithm 1). It loads nothing that computes;
`ops.classifiers.variants` implements it.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from ops.recipe.ingredients.balancing import Deferred
from ops.settings.kinds import Kind

if TYPE_CHECKING:
    import numpy as np

Member = Literal["generator", "oracle", "randaugment"]


class NoVariants(Kind):
    """Every image as it is."""

    kind: Literal["none"] = Field("none", description="every image as it is")


class GitVariants(Deferred):
    """Some images of every batch are shown as variants of themselves, with their label."""

    kind: Literal["git"] = Field(
        "git", description="some images of every batch are shown as variants of themselves, with their label"
    )
    by: Annotated[tuple[Member, ...], Field(min_length=1, strict=False)] = Field(
        ("generator",),
        description="what makes a variant, in turn: generator, the variants that the chain draws; oracle, a fresh draw"
        " of data.nuisance on the image from before it, in a study; randaugment, two random operations",
    )
    below: Annotated[int, Field(ge=2)] | None = Field(
        None, description="K: only classes of fewer real training images have variants; null: all classes"
    )
    policy: Literal["hard", "ramp"] = Field(
        "hard",
        description="chance of a class of n images. hard: 1 below K; ramp: (K - n) / (K - size of the smallest class)",
    )
    share: float = Field(0.5, gt=0, le=1, description="p: share of a batch's places at which a variant may be shown")
    start: float = Field(0.0, ge=0, lt=1, description="share of the steps that pass before variants are shown; 0: none")
    draws: Literal["paired", "independent"] = Field(
        "paired",
        description="paired: the place shows a variant of its own image; independent: a variant of an image of a second"
        " pass of the arm's sampler, with that image's label",
    )
    source: Literal["stored", "drawn"] = Field(
        "stored",
        description="stored: the accepted images, again from the first when all have been shown; drawn: the same, drawn"
        " in the training, and then fresh ones, which no filter has seen",
    )
    strength: float = Field(8.0, gt=0, lt=30, description="for randaugment: RandAugment's magnitude m")
    operations: int = Field(2, ge=1, le=10, description="for randaugment: RandAugment's n")

    @property
    def needs_generator(self) -> bool:
        """Whether generated images are needed."""
        return "generator" in self.by

    @model_validator(mode="after")
    def _check_members(self) -> GitVariants:
        if twice := [member for i, member in enumerate(self.by) if member in self.by[:i]]:
            raise ValueError(f"by names {twice[0]} twice; keep one of them")
        if late := [member for member in self.by[1:] if member != "randaugment"]:
            raise ValueError(
                f"by: {late[0]} does not look at the image that {self.by[0]} makes; name one of generator and oracle,"
                " and name it first"
            )
        if self.policy == "ramp" and self.below is None:
            raise ValueError("policy: ramp needs below, the size from which on classes have no variants")
        for key in ("strength", "operations"):
            if getattr(self, key) != type(self).model_fields[key].default and "randaugment" not in self.by:
                raise ValueError(f"{key} has no effect without randaugment in by")
        if self.source != "stored" and not self.needs_generator:
            raise ValueError(f"source: {self.source} has no effect without generator in by")
        return self

    @model_serializer(mode="wrap")
    def _leave_out(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Results from before the key `operations` stay valid where it has no effect."""
        found: dict[str, Any] = dump(self)
        if "randaugment" not in self.by:
            found.pop("operations", None)
        return found

    def count_places(self, batch_size: int) -> int:
        """g: the places of a batch at which variants may be shown, the last ones."""
        return int(Fraction(repr(self.share)) * batch_size)

    def check_batch(self, batch_size: int) -> None:
        """ValueError where the share of a batch is less than an image."""
        if not self.count_places(batch_size):
            least = math.ceil(Fraction(1000, batch_size)) / 1000
            wanted = "1" if least == 1 else f"{least:g} or more"
            raise ValueError(f"share {self.share:g} of a batch of {batch_size} is less than one image; write {wanted}")


VARIANTS: dict[str, type[Kind]] = {"none": NoVariants, "git": GitVariants}


def find_chances(sizes: np.ndarray, settings: GitVariants) -> np.ndarray:
    """q: the chance of each class that an image at a place for variants is replaced by one, float64 [K] in 0..1.

    sizes : real training images of each class, int [K]; classes without images have the chance 0. ValueError where no
    class has fewer images than `below`.
    """
    import numpy as np

    present = sizes > 0
    if settings.below is None:
        return present.astype(np.float64)
    check_below(sizes, settings)
    n_min = sizes[present].min()
    if settings.policy == "hard":
        return np.where(present, sizes < settings.below, 0.0)
    ramp = (settings.below - sizes) / (settings.below - n_min)
    return np.where(present, np.maximum(0.0, ramp), 0.0)


def check_below(sizes: np.ndarray, settings: GitVariants) -> None:
    """ValueError where no class has fewer images than `below`; the ramp would divide by 0 there."""
    n_min = int(sizes[sizes > 0].min())
    if settings.below is not None and settings.below <= n_min:
        raise ValueError(
            f"below {settings.below} is not above the smallest class, which has {n_min:,} images: no class would learn"
            " from variants"
        )
