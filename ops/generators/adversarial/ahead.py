"""The batch of a step, drawn once for both losses, and before the step where there is time.

The module does not know what a batch holds.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, Protocol, TypeVar


class OfStep(Protocol):
    """What is drawn for one step."""

    @property
    def step(self) -> int: ...


Batch = TypeVar("Batch", bound=OfStep)


class Ahead(Generic[Batch]):
    """Batches by `draw`, which depend on the step alone; the last one and one drawn ahead are kept."""

    def __init__(self, draw: Callable[[int], Batch]) -> None:
        self.draw = draw
        self.now: Batch | None = None
        self.next: Batch | None = None

    def prepare(self, step: int) -> None:
        """Draw the batch of a later step."""
        self.next = self.draw(step)

    def find(self, step: int) -> Batch:
        """The batch of `step`."""
        for batch in (self.now, self.next):
            if batch is not None and batch.step == step:
                self.now = batch
                return batch
        self.now = self.draw(step)
        return self.now
