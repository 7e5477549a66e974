"""A network in training, with the threads that compute it and the observer that watches it."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from ops.generators.denoising.learning import LearningSettings, learn_on
from ops.generators.denoising.network import ConditionalUNet
from ops.generators.protocol import Fitting
from ops.generators.told_training import make_terms
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
        key: str = "learning_rate",
    ) -> TrainingState:
        """Train the network by `ops.generators.denoising.learning.learn`, and report steps and losses to `progress`."""
        terms = make_terms(self.fitting, self.precision, self.pool, progress)
        return learn_on(terms, self.network, find_loss, settings, checkpoints, prepare=prepare, key=key)
