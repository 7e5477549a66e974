"""How the autoencoder learns: the loss of each step, its training, and the scale of its latents.

Every random choice of step s comes from (seed, s). The module knows nothing of the flow that follows.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from torch import Tensor

from ops.generators.batches import draw_batch
from ops.generators.denoising.augmentation import augment
from ops.generators.denoising.learning import learn_on
from ops.generators.latent.losses import Rating
from ops.generators.latent.network import Autoencoder
from ops.generators.latent.sizes import Shape
from ops.generators.reconstruction import measure_reconstruction
from ops.machine.precision import compute_in
from ops.recipe.latent import LatentSettings
from ops.training.checkpoint import Checkpoints
from ops.training.state import TrainingState
from ops.training.terms import Terms

STREAM = 5  # separates the batches and the noise from the flow's
PART_IMAGES = 50  # images that a thread encodes at a time
LEAST_SPREAD = 1e-3  # of a channel of the latents that hardly varies
EXAMINED = 500  # most training images that the reconstruction is examined on


class AutoencodingSteps:
    """The loss of a step, as a function of the step.

    Parameters
    ----------
    rate : of images in -1..1 and noise: the loss of each image (`losses.Rating`).
    images : uint8 [n, C, H, W]; labels : int64 [n], every class 0..K-1 present.
    shape : of the latents.
    """

    def __init__(
        self,
        rate: Callable[[Tensor, Tensor], Tensor],
        images: Tensor,
        labels: Tensor,
        settings: LatentSettings,
        shape: Shape,
        *,
        seed: int,
        precision: str,
        device: str = "cpu",
    ) -> None:
        self.rate, self.settings, self.shape = rate, settings, shape
        self.seed, self.precision, self.device = seed, precision, device
        self.images = images.to(device)
        self.by_class = [np.flatnonzero(labels.cpu().numpy() == c) for c in range(int(labels.max()) + 1)]

    def __call__(self, step: int) -> Tensor:
        settings, size = self.settings, self.settings.autoencoder.batch_size
        index = draw_batch(self.by_class, settings.class_balanced, size, self.seed, step, STREAM)
        images = self.images[torch.from_numpy(index)].float() / 127.5 - 1
        key = np.random.SeedSequence([STREAM, self.seed, step]).generate_state(1, np.uint64)[0]
        generator = torch.Generator().manual_seed(int(key))
        # Drawn on the CPU, so that a run does not depend on the device.
        noise = torch.randn((size, *self.shape), generator=generator).to(self.device)
        with compute_in(self.precision, self.device):
            if settings.augment:
                images, _ = augment(images, settings.policy, settings.augment, generator)
            return self.rate(images, noise).mean()


def learn_autoencoder(
    autoencoder: Autoencoder,
    settings: LatentSettings,
    images: Tensor,
    labels: Tensor,
    shape: Shape,
    checkpoints: Checkpoints,
    terms: Terms,
) -> TrainingState:
    """Train `autoencoder` on images uint8 [n, C, H, W] whose latents have `shape`; it ends on the CPU.

    The rest is as in `ops.generators.denoising.learning.learn`.
    """
    rate = terms.call(Rating(autoencoder, settings.autoencoder, images.shape[1]))
    steps = AutoencodingSteps(
        rate, images, labels, settings, shape, seed=terms.seed, precision=terms.precision, device=terms.device
    )
    key = "autoencoder.learning_rate"
    return learn_on(terms, autoencoder, steps, settings.autoencoder, checkpoints, key=key)


def encode_all(
    autoencoder: Autoencoder, images: Tensor, pool: ThreadPoolExecutor, precision: str, device: str
) -> Tensor:
    """Standardised latents float [n, c, h, w] of images uint8 [n, C, H, W], on the CPU.

    They set the autoencoder's scale: each of their channels has mean 0 and variance 1.
    """

    def encode(part: Tensor) -> Tensor:
        with torch.inference_mode(), compute_in(precision, device):
            return autoencoder.find_posterior(part.to(device).float() / 127.5 - 1)[0].cpu()

    found = torch.cat(list(pool.map(encode, images.split(PART_IMAGES))))
    spread, mean = torch.std_mean(found.double(), dim=(0, 2, 3), correction=0, keepdim=True)
    autoencoder.mean.copy_(mean)
    autoencoder.spread.copy_(spread.clamp(min=LEAST_SPREAD))
    return (found - autoencoder.mean.cpu()) / autoencoder.spread.cpu()


def examine(autoencoder: Autoencoder, images: Tensor, pool: ThreadPoolExecutor, precision: str, device: str) -> float:
    """Mean absolute difference of images uint8 [n, C, H, W] from their reconstruction, in grey levels."""

    def rebuild(x: Tensor) -> Tensor:
        with compute_in(precision, device):
            return autoencoder.decode(autoencoder.encode(x))

    return measure_reconstruction(rebuild, images, pool, device, part=PART_IMAGES, most=EXAMINED)
