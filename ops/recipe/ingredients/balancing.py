"""What losses and samplers that treat classes by their sizes have in common."""

from __future__ import annotations

from fractions import Fraction
from typing import Annotated

from pydantic import Field

from ops.settings.kinds import Kind


class Balancing(Kind):
    """A loss or sampler that goes by the sizes of the classes alone: it has no effect where these are equal."""


class Deferred(Kind):
    """A loss or sampler that may leave the first part of a training as it is."""

    start: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="share of the steps that pass before classes count differently; 0: none",
    )

    def first_step(self, steps: int) -> int:
        """The first of `steps` steps, counted from 0, at which classes count differently; it is always one of them."""
        return int(Fraction(repr(self.start)) * steps)


Beta = Annotated[float, Field(ge=0, lt=1)]
