"""How the encoder learns: two views of an image are to be told from the views of all other images.

The loss is SimCLR's (Chen et al. 2020), with one constant, the temperature. A view is the image moved, with other
levels and without a square. What the views of an image differ by leaves its features, and the flow is free to vary it;
so no view is mirrored unless the settings say that classes allow it. Every random choice of step s comes from (seed,
s). The module knows nothing of the flow that follows.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from torch import Tensor, nn

from ops.generators.denoising.augmentation import augment
from ops.generators.denoising.learning import learn_on
from ops.generators.instance.network import Encoder
from ops.machine.precision import compute_in
from ops.recipe.arms import Policy
from ops.recipe.instance import EncoderSettings
from ops.training.checkpoint import Checkpoints
from ops.training.contrast import find_nt_xent
from ops.training.state import TrainingState
from ops.training.terms import Terms

STREAM = 6  # separates the batches and the views from the flow's
VIEWS = Policy(shift=0.1, scale=0.3, rotation=15.0, gain=0.5, offset=0.1)
ERASED = 0.5  # side of the square that is missing in a view, as a share of the shorter side
TEMPERATURE = 0.5
COMPARED = 64  # numbers in which views are compared
PART_IMAGES = 50  # images that a thread encodes at a time
LEAST_VARIANCE = 1e-6  # of a feature before it is standardised, as a share of the widest one's
TINY = 1e-12


class Comparing(nn.Module):
    """An encoder in training, and the head behind it that is not kept: without it the encoder itself would have to
    forget whatever the views differ by."""

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        width = len(encoder.mean)
        self.encoder = encoder
        self.head = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, COMPARED))

    def forward(self, x: Tensor) -> Tensor:
        compared: Tensor = self.head(self.encoder.see(x))
        return compared.float()


class ContrastSteps:
    """The loss of a step, as a function of the step.

    Parameters
    ----------
    compare : `Comparing`, or the function that computes it in parts.
    images : uint8 [n, C, H, W].
    """

    def __init__(
        self,
        compare: Callable[[Tensor], Tensor],
        images: Tensor,
        settings: EncoderSettings,
        *,
        seed: int,
        precision: str,
        device: str = "cpu",
    ) -> None:
        self.compare, self.images, self.settings = compare, images.to(device), settings
        self.seed, self.precision, self.device = seed, precision, device

    def __call__(self, step: int) -> Tensor:
        rng = np.random.default_rng([self.seed, step, STREAM])
        count = min(self.settings.batch_size, len(self.images))
        index = torch.from_numpy(rng.choice(len(self.images), count, replace=False))
        generator = torch.Generator().manual_seed(int(rng.integers(2**63)))
        images = self.images[index].float() / 127.5 - 1
        with compute_in(self.precision, self.device):
            views = torch.cat([make_view(images, self.settings.flip, generator) for _ in range(2)])
            compared = self.compare(views)
        return find_nt_xent(compared, TEMPERATURE)  # in fp32: bf16 would round the cosines


def make_view(images: Tensor, flip: float, generator: torch.Generator) -> Tensor:
    """Each image changed at random: float [n, C, H, W] in -1..1, and so is the result."""
    view, _ = augment(images, VIEWS.model_copy(update={"flip": flip}), 1.0, generator)
    count, _, height, width = images.shape
    half = ERASED * min(height, width) / 2
    # Around a place anywhere in the image.
    rows = (torch.arange(height) - torch.rand(count, 1, generator=generator) * (height - 1)).abs() < half
    columns = (torch.arange(width) - torch.rand(count, 1, generator=generator) * (width - 1)).abs() < half
    inside = (rows[:, None, :, None] & columns[:, None, None, :]).to(images.device)
    return torch.where(inside, view.mean(dim=(2, 3), keepdim=True), view)


def learn_encoder(
    encoder: Encoder, settings: EncoderSettings, images: Tensor, checkpoints: Checkpoints, terms: Terms
) -> TrainingState:
    """Train `encoder` on images uint8 [n, C, H, W]; it ends on the CPU, not yet standardised.

    The rest is as in `ops.generators.denoising.learning.learn`.
    """
    comparing = Comparing(encoder)
    compare = terms.call(comparing)
    steps = ContrastSteps(compare, images, settings, seed=terms.seed, precision=terms.precision, device=terms.device)
    return learn_on(terms, comparing, steps, settings, checkpoints, key="encoder.learning_rate")


def standardise(encoder: Encoder, images: Tensor, pool: ThreadPoolExecutor, device: str) -> Tensor:
    """Features float [n, d] of images uint8 [n, C, H, W], on the CPU.

    They set the encoder's scale. Its features are the principal components of what it sees in these images, the
    widest ones first, each divided by its standard deviation. So they have mean 0, variance 1 and no correlation; one
    that hardly varies beside the widest, LEAST_VARIANCE, carries nothing and stays narrow (`count_carrying`).
    """

    def see(part: Tensor) -> Tensor:
        with torch.inference_mode():
            return encoder.see(part.to(device).float() / 127.5 - 1).cpu()

    seen = torch.cat(list(pool.map(see, images.split(PART_IMAGES)))).double()
    mean, count = seen.mean(dim=0), encoder.whitening.shape[1]
    values, vectors = torch.linalg.eigh((seen - mean).T @ (seen - mean) / len(seen))  # the widest last
    values, vectors = values[-count:].flip(0), vectors[:, -count:].flip(1)
    # A component has two directions; its largest weight is to be positive.
    largest = vectors.gather(0, vectors.abs().argmax(dim=0, keepdim=True))
    whitening = vectors * largest.sign() / values.clamp(min=max(LEAST_VARIANCE * float(values[0]), TINY)).sqrt()
    encoder.mean.copy_(mean)
    encoder.whitening.copy_(whitening)
    return ((seen - mean) @ whitening).float()


def count_carrying(features: Tensor) -> int:
    """How many of standardised features [n, d] vary as they should: the others carry nothing."""
    return int((features.double().var(dim=0, unbiased=False) > 0.5).sum())
