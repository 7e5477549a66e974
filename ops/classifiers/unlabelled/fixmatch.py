"""FixMatch (Sohn et al. 2020): a sure answer to a weak view is the label of a strong view of the same image.

For μB unlabelled images u_b beside a batch of B labelled ones, with weak views α(u) and strong views A(u):

    q_b = p(y | α(u_b)),   q̂_b = argmax q_b                        without a gradient
    ℓ_u = 1/(μB) · Σ_b 1[max q_b > τ] · H(q̂_b, p(y | A(u_b)))      eq. 4; the loss is ℓ_s + λ·ℓ_u

Both answers are the network's own as it is at this step. A weak view is normalised by the statistics of the weak views,
which leave no trace in the running ones. Strong views of images whose answer is not sure are never computed. So with
τ = 1 the training is supervised, bit by bit. The module does not know labelled images, or where the others come from.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from ops.classifiers.augmentations.policy import ComposedPolicy
from ops.classifiers.augmentations.randaugment import RandomOperations
from ops.classifiers.ingredients import Augmentation
from ops.classifiers.networks.classifier import normalise
from ops.classifiers.unlabelled.draws import draw_apart
from ops.machine.precision import compute_in
from ops.recipe.arms import Policy, RandAugment
from ops.recipe.ingredients.unlabelled import FixMatch

STREAM = 4  # of the images and views of a step


@dataclass(frozen=True)
class Sure:
    """The images of a step whose answers were sure: strong views float [k, C, H, W], and their labels int64 [k]."""

    views: Tensor
    labels: Tensor


class Matching:
    """The term of one training.

    Parameters
    ----------
    pool : uint8 [m, C, H, W].
    network : that learns, in training mode when it is asked.
    weak : the arm's augmentation; a strong view mirrors images only if `mirrors` says that this does.
    labelled : images of a batch.
    """

    def __init__(
        self,
        settings: FixMatch,
        pool: Tensor,
        network: nn.Module,
        weak: Augmentation,
        *,
        mirrors: bool,
        labelled: int,
        seed: int,
        precision: str,
        device: str,
    ) -> None:
        self.settings, self.pool, self.network, self.weak = settings, pool, network, weak
        side = (pool.shape[2], pool.shape[3])
        flip = 0.5 if mirrors else 0.0
        strong = RandAugment(strength=settings.strength, operations=settings.operations, flip=flip)
        self.operate = RandomOperations(strong, side)
        self.erase = ComposedPolicy(Policy(erasing=settings.erasing), side)
        self.count = max(2, round(settings.ratio * labelled))  # of one image a batch has no statistics
        self.seed, self.precision, self.device = seed, precision, device

    def look(self, step: int) -> Sure | None:
        """The sure ones among the images of a step; None if there is none. It follows from (seed, step) and weights."""
        rng = np.random.default_rng([self.seed, STREAM, step])
        rows = torch.from_numpy(rng.integers(len(self.pool), size=self.count))
        images = normalise(self.pool[rows].to(self.device))
        with draw_apart([self.seed, STREAM, step], self.device):
            weak = self.weak(images).contiguous(memory_format=torch.channels_last)
            answers = self.answer(weak)
            probability, labels = answers.max(dim=1)
            chosen = probability > self.settings.threshold
            if not chosen.any():
                return None
            return Sure(self.make_strong(images[chosen]), labels[chosen])

    def answer(self, weak: Tensor) -> Tensor:
        """q [m, K] of weak views."""
        with torch.no_grad(), by_batch(self.network), compute_in(self.precision, self.device):
            logits = self.network(weak)
        return F.softmax(logits.float(), dim=1)

    def make_strong(self, images: Tensor) -> Tensor:
        """A strong view of each image float [n, C, H, W] in -1..1."""
        return self.erase(self.operate(images)).contiguous(memory_format=torch.channels_last)

    def find_loss(self, logits: Tensor, sure: Sure) -> Tensor:
        """λ·ℓ_u, from logits [k, K] of the strong views; images that were not sure count in the mean."""
        total = F.cross_entropy(logits, sure.labels, reduction="sum")
        return self.settings.weight * total / self.count


@contextmanager
def by_batch(network: nn.Module) -> Iterator[None]:
    """Inside, a network in training mode normalises by its batch and leaves its running statistics as they are."""
    norms = [module for module in network.modules() if isinstance(module, _BatchNorm) and module.track_running_stats]
    for norm in norms:
        norm.track_running_stats = False
    try:
        yield
    finally:
        for norm in norms:
            norm.track_running_stats = True
