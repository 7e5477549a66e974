"""How the masked autoencoder learns: patches are hidden, and all are predicted. And the scale of its latents.

Every random choice of step s comes from (seed, s).
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from torch import Tensor, nn

from ops.generators.denoising.learning import learn_on
from ops.generators.mae.masking import count_kept, draw_kept
from ops.generators.mae.network import Mae
from ops.generators.reconstruction import measure_reconstruction
from ops.machine.precision import compute_in
from ops.recipe.mae import SCALED, MaeSettings
from ops.training.checkpoint import Checkpoints
from ops.training.state import TrainingState
from ops.training.terms import Terms

STREAM = 7  # separates the choices from those of other trainings with this seed
PART_IMAGES = 16  # images that a thread encodes at a time
LEAST_SPREAD = 1e-3  # of a number that hardly varies, as a share of the mean spread


class Rating(nn.Module):
    """The loss of each image, so that the images of a batch can be divided among threads."""

    def __init__(self, mae: Mae, seen_weight: float) -> None:
        super().__init__()
        self.mae, self.seen_weight = mae, seen_weight

    def forward(self, x: Tensor, kept: Tensor) -> Tensor:
        """float [n], of images x [n, C, H, W] in -1..1 and the patches that stay visible, int64 [n, K].

        The squared error of a patch, averaged over the hidden ones (He et al. 2022, §3), and over the others with their
        own weight: Σ w·e / Σ w.
        """
        seen = self.mae.frame.enter(x)
        predicted = self.mae.rebuild(seen, kept).float()
        error = (predicted - self.mae.find_target(seen)).square().mean(dim=2)
        weight = torch.ones_like(error).scatter(1, kept, self.seen_weight)
        return (weight * error).sum(dim=1) / weight.sum(dim=1)


class RebuildingSteps:
    """The loss of a step, as a function of the step.

    Parameters
    ----------
    rate : `Rating`, or the function that computes it in parts.
    images : uint8 [n, C, H, W]. places : patches of an image.
    """

    def __init__(
        self,
        rate: Callable[[Tensor, Tensor], Tensor],
        images: Tensor,
        places: int,
        settings: MaeSettings,
        *,
        seed: int,
        precision: str,
        device: str = "cpu",
    ) -> None:
        self.rate, self.images, self.places, self.settings = rate, images.to(device), places, settings
        self.seed, self.precision, self.device = seed, precision, device

    def __call__(self, step: int) -> Tensor:
        rng = np.random.default_rng([self.seed, step, STREAM])
        index = torch.from_numpy(rng.choice(len(self.images), self.settings.batch_size))
        kept = draw_kept(rng, len(index), self.places, count_kept(rng.uniform(*self.settings.mask), self.places))
        images = self.images[index.to(self.device)].float() / 127.5 - 1
        with compute_in(self.precision, self.device):
            return self.rate(images, kept.to(self.device)).mean()


def learn_mae(mae: Mae, settings: MaeSettings, images: Tensor, checkpoints: Checkpoints, terms: Terms) -> TrainingState:
    """Train `mae` on images uint8 [n, C, H, W]; it ends on the CPU, its latents not yet standardised.

    The rest is as in `ops.generators.denoising.learning.learn`.
    """
    rate = terms.call(Rating(mae, settings.seen_weight))
    steps = RebuildingSteps(
        rate, images, mae.places, settings, seed=terms.seed, precision=terms.precision, device=terms.device
    )
    return learn_on(terms, mae, steps, settings, checkpoints)


def standardise(mae: Mae, images: Tensor, pool: ThreadPoolExecutor, device: str) -> None:
    """Set the scale of the latents by images uint8 [n, C, H, W], at most SCALED of them, none of whose patches is
    hidden: each number has mean 0 and variance 1 at its place.

    A number that hardly varies beside the others, LEAST_SPREAD, stays narrow.
    """
    some = images[:: -(-len(images) // SCALED)]

    def read(part: Tensor) -> tuple[Tensor, Tensor]:
        with torch.inference_mode():
            latents = mae.read(part.to(device).float() / 127.5 - 1).double()
            return latents.sum(dim=0).cpu(), latents.square().sum(dim=0).cpu()

    sums = list(pool.map(read, some.split(PART_IMAGES)))
    mean, square = (torch.stack(each).sum(dim=0) / len(some) for each in zip(*sums, strict=True))
    spread = (square - mean.square()).clamp(min=0).sqrt()
    mae.mean.copy_(mean)
    mae.spread.copy_(spread.clamp(min=LEAST_SPREAD * max(float(spread.mean()), LEAST_SPREAD)))


def examine(mae: Mae, images: Tensor, pool: ThreadPoolExecutor, device: str) -> float:
    """Mean absolute difference of images uint8 [n, C, H, W], at most SCALED of them, from what is decoded of them when
    nothing is hidden or changed, in grey levels."""
    return measure_reconstruction(
        lambda x: mae.decode(mae.encode(x)), images, pool, device, part=PART_IMAGES, most=SCALED
    )
