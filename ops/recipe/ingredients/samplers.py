"""The keys of every sampler of training images."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from ops.recipe.ingredients.balancing import Balancing, Beta, Deferred
from ops.settings.kinds import Kind


class UniformSampler(Kind):
    """Images in proportion to their weights."""

    kind: Literal["uniform"] = Field("uniform", description="images in proportion to their weights")


class ClassBalancedSampler(Balancing, Deferred):
    """All classes equally often."""

    kind: Literal["class_balanced"] = Field("class_balanced", description="all classes equally often: oversampling")


class SquareRootSampler(Balancing, Deferred):
    """Half-way between uniform and class-balanced."""

    kind: Literal["square_root"] = Field("square_root", description="classes in proportion to the root of their size")


class EffectiveNumberSampler(Balancing, Deferred):
    """Nearly class-balanced, but a class of many images is shown more often."""

    kind: Literal["effective_number"] = Field(
        "effective_number", description="images in proportion to (1 - beta) / (1 - beta^n_c)"
    )
    beta: Beta = Field(0.999, description="as in the loss effective_number; 0: uniform")


SAMPLERS: dict[str, type[Kind]] = {
    "uniform": UniformSampler,
    "class_balanced": ClassBalancedSampler,
    "square_root": SquareRootSampler,
    "effective_number": EffectiveNumberSampler,
}
