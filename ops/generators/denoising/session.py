"""A network in training, with the threads that compute it and the observer that watches it."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from ops.generators.denoising.learning import LearningSettings, learn
from ops.generators.denoising.network import ConditionalUNet
from ops.generators.protocol import Fitting
from ops.machine.progress import Progress
from ops.recipe.sampler import SamplerSettings
from ops.training.checkpoint import Checkpoints
from ops.training.microbatches import in_parts
from ops.training.state import Observation, TrainingState


@dataclass(frozen=True)
class Session:
    """A network, and everything that one training of it after another needs.

    pool : of `start_threads`.
    watch : makes an observer, from the steps taken before this training and the sampler that draws for it.
    steps : taken in trainings before this one.
    """

    network: ConditionalUNet
    config: dict[str, Any]
    fitting: Fitting
    precision: str
    pool: ThreadPoolExecutor
    watch: Callable[[int, SamplerSettings], Callable[[int], Observation]]
    steps: int = 0

    @property
    def called(self) -> Callable[..., Tensor]:
        """The function that a loss calls for the network."""
        return in_parts(self.network, self.pool, self.fitting.device)

    def learn(
        self,
        find_loss: Callable[[int], Tensor],
        settings: LearningSettings,
        checkpoints: Checkpoints,
        progress: Progress,
        *,
        prepare: Callable[[int], object] | None = None,
    ) -> TrainingState:
        """Train the network by `ops.generators.denoising.learning.learn`, and report steps and losses to `progress`."""
        device = self.fitting.device
        return learn(
            self.network,
            find_loss,
            settings,
            checkpoints,
            device=device,
            pool=self.pool if device == "cpu" else None,
            prepare=prepare,
            on_step=lambda step, loss: progress.update(step, loss=round(loss, 4)),
            section=self.fitting.name,
        )
