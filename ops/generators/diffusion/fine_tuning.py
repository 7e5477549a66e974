"""Fine-tune a pipeline's network on labelled images: what it is asked to predict, and the training.

DreamBooth (Ruiz et al. 2023, eq. 2): beside the loss on the user's images under their prompts stands, weighted, the
same loss on images that the pipeline drew before under more general prompts, so that it does not forget them. Only a
LoRA is trained. Every random number of a step follows from (seed, step).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ops.generators.batches import draw_batch
from ops.generators.diffusion.adapter import Adapter
from ops.generators.diffusion.opening import Parts
from ops.machine.precision import compute_in
from ops.recipe.diffusion import LoraSettings
from ops.training.checkpoint import Checkpoints
from ops.training.loop import Learner, train
from ops.training.optimizers import build_adamw
from ops.training.schedules import trapezoid
from ops.training.state import TrainingState

OWN, KEPT = 0, 1  # streams of random numbers


@dataclass(frozen=True, eq=False)
class Examples:
    """Images to learn: latents float32 [n, *latent_shape] with labels int [n], and the embedded prompts of each class.

    texts : for each label its templates' embeddings [templates, tokens, d]; each use of an image takes one at random.
    """

    latents: Tensor
    labels: np.ndarray
    texts: Sequence[Tensor]

    def take(self, size: int, seed: int, step: int, stream: int) -> tuple[Tensor, Tensor]:
        """Latents and embedded prompts of a step, classes in equal numbers."""
        by_class = [np.flatnonzero(self.labels == label) for label in np.unique(self.labels)]
        rows = draw_batch(by_class, True, size, seed, step, stream)
        rng = np.random.default_rng([seed, step, stream, size])
        chosen = [self.texts[label] for label in self.labels[rows].tolist()]
        texts = torch.stack([each[rng.integers(len(each))] for each in chosen])
        return self.latents[torch.from_numpy(rows)], texts


class Denoising:
    """The loss of predicting the noise on latents, or its velocity where the pipeline's schedule says so."""

    def __init__(self, parts: Parts, precision: str) -> None:
        from diffusers import DDPMScheduler

        self._parts, self._precision = parts, precision
        self._schedule: Any = DDPMScheduler.from_config(parts.schedule)

    def find_loss(self, latents: Tensor, texts: Tensor, noise: Tensor, times: Tensor) -> Tensor:
        """The mean squared error, a scalar; times int64 [n] are steps of the noise schedule."""
        device, schedule = self._parts.device, self._schedule
        latents, noise, times = latents.to(device), noise.to(device), times.to(device)
        noisy = schedule.add_noise(latents, noise, times)
        wanted = noise
        if schedule.config.prediction_type == "v_prediction":
            wanted = schedule.get_velocity(latents, noise, times)
        with compute_in(self._precision, device):
            predicted = self._parts.unet(noisy, times, encoder_hidden_states=texts.to(device), return_dict=False)[0]
        return F.mse_loss(predicted.float(), wanted)

    def draw(self, latents: Tensor, seed: int, step: int, stream: int) -> tuple[Tensor, Tensor]:
        """The noise and the times of a step."""
        generator = torch.Generator().manual_seed(
            int(np.random.SeedSequence([seed, step, stream]).generate_state(1)[0])
        )
        noise = torch.randn(latents.shape, generator=generator)
        return noise, torch.randint(0, self._schedule.config.num_train_timesteps, (len(latents),), generator=generator)


def fine_tune(
    parts: Parts,
    adapter: Adapter,
    settings: LoraSettings,
    own: Examples,
    kept: Examples | None,
    *,
    seed: int,
    precision: str,
    checkpoints: Checkpoints | None = None,
    on_step: Callable[[int, float], None] = lambda step, loss: None,
) -> TrainingState:
    """Train the adapter on `own`, and on `kept` with the weight of the settings' preservation.

    A killed training goes on from its checkpoint. TrainingDiverged for a loss that is not finite.
    """
    denoising = Denoising(parts, precision)

    def find_part(examples: Examples, step: int, stream: int) -> Tensor:
        latents, texts = examples.take(settings.batch_size, seed, step, stream)
        return denoising.find_loss(latents, texts, *denoising.draw(latents, seed, step, stream))

    def find_loss(step: int) -> Tensor:
        loss = find_part(own, step, OWN)
        if kept is not None and settings.preservation is not None:
            loss = loss + settings.preservation.weight * find_part(kept, step, KEPT)
        return loss

    rate = settings.learning_rate
    return train(
        adapter,
        [
            Learner(
                adapter,
                find_loss,
                build_adamw(adapter, rate, settings.weight_decay),
                trapezoid(rate, settings.steps, settings.warmup_steps),
            )
        ],
        settings.steps,
        checkpoints=checkpoints,
        if_diverged=f"lower the generator's lora.learning_rate (now {rate:g}) or use precision: fp32",
        on_step=on_step,
    )
