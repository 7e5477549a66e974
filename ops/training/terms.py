"""What a training is given beside its network, its data and its settings."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from torch import Tensor, nn

from ops.training.microbatches import in_parts


@dataclass(frozen=True)
class Terms:
    """The terms on which a network learns, whatever it learns.

    seed : every random choice follows from it and the step. precision : the number format, `fp32` or `bf16`. pool : of
    `start_threads`. on_step : called with the number of steps taken and the loss of the last. section : of the recipe,
    where the learning rate is, for advice; None: the advice names none, as where steps are timed for a plan.
    """

    seed: int
    precision: str
    pool: ThreadPoolExecutor
    device: str = "cpu"
    on_step: Callable[[int, float], None] = lambda step, loss: None
    section: str | None = None

    def call(self, network: nn.Module) -> Callable[..., Tensor]:
        """Move `network` to the device; returns the function that a loss calls for it."""
        return in_parts(network.to(self.device), self.pool, self.device)
