"""Types of the keys of how a generator's network learns, which several sections have, each with defaults of its own."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

Optimizer = Annotated[Literal["muon", "adamw"], Field(description="muon needs about half of adamw's steps")]
WeightDecay = Annotated[float, Field(ge=0, description="decoupled from the gradient")]
WarmupSteps = Annotated[int, Field(ge=0, description="steps over which the learning rate rises")]
EmaDecay = Annotated[float, Field(ge=0, lt=1, description="decay of the averaged weights that are kept")]
