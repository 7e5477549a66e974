"""A network in training, with the threads that compute it and the observer that watches it."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from ops.generators.denoising.microbatches import InParts
from ops.generators.denoising.network import ConditionalUNet
from ops.generators.protocol import Fitting, Observation
from ops.recipe.generator import SamplerSettings


@dataclass(frozen=True)
class Session:
    """A network that is being trained, and the means to go on with it."""

    network: ConditionalUNet
    config: dict[str, Any]
    fitting: Fitting
    precision: str
    steps: int  # taken before
    pool: ThreadPoolExecutor  # of `start_threads`
    watch: Callable[[int, SamplerSettings], Callable[[int], Observation]]  # from steps before, sampler

    @property
    def called(self) -> Callable[..., Tensor]:
        """What a loss calls."""
        return in_parts(self.network, self.pool, self.fitting.device)


def in_parts(network: ConditionalUNet, pool: ThreadPoolExecutor, device: str = "cpu") -> Callable[..., Tensor]:
    """What a loss calls: on the CPU the network part by part, on a GPU the network itself."""
    return InParts(network, pool) if device == "cpu" else network
