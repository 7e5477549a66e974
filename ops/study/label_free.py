"""Scores without labels of an arm that learns without labels: do they tell which arm's probe will be right most often?

They are measured on validation images, whose labels are not looked at. Alignment and uniformity (Wang and Isola 2020)
are of the same views for all arms, AdaInf's weak ones: of an arm's own views, weaker ones would always agree better.
The relative confusion is of the arm's own views, as it is defined (ARC, Wang et al. 2022), beside the same network
before its training. Copies of both normalise by these very views, so that training alone tells them apart.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from ops.classifiers.answering import settle_undefined
from ops.classifiers.augmentations import AUGMENTATIONS
from ops.classifiers.contrastive.scores import (
    compare_confusion,
    measure_alignment,
    measure_confusion,
    measure_uniformity,
)
from ops.classifiers.networks.classifier import Classifier, build_classifier, normalise
from ops.classifiers.statistics import average_statistics
from ops.machine.precision import compute_in, resolve_precision
from ops.recipe.ingredients.views import Views
from ops.settings.kinds import Kind

IMAGES, PAIRS = 500, 2  # images at most, and pairs of views of each
AT_ONCE = 250  # images of a batch
SEED = 0  # of the views, which are the same for all networks of equal augmentation
COMMON = Views(preset="adainf")


@dataclass(frozen=True)
class LabelFree:
    """alignment: 0 to 4, lower is better aligned. uniformity: at most 0, lower is more uniform. relative_confusion:
    above 1 the training brought views of an image together; None where the untrained network confused all."""

    alignment: float
    uniformity: float
    relative_confusion: float | None


@dataclass(frozen=True, eq=False)
class Encoder:
    """A trained network in evaluation mode, and what its scores need.

    augmentation: what made its views. seed: of its training, which gave its first weights. held: validation images
    uint8 [n, C, H, W].
    """

    network: Classifier
    augmentation: Kind
    seed: int
    held: Tensor
    precision: str = "auto"
    device: str = "cpu"

    @cached_property
    def scores(self) -> LabelFree:
        """All of them. The caller's random state stays as it is."""
        common, own = self._view(COMMON), self._view(self.augmentation)
        seen = self._see(self.network, common)
        before = measure_confusion(self._see(self._normalise_by(self.build_untrained(), own), own))
        after = measure_confusion(self._see(self._normalise_by(self.network, own), own))
        return LabelFree(
            measure_alignment(seen),
            measure_uniformity(seen[0]),
            None if before >= 1 else compare_confusion(before, after),
        )

    def build_untrained(self) -> Classifier:
        """The network that the training began with, in evaluation mode."""
        with _seeded(self.seed):
            return build_classifier(self.network.description).to(self.device).eval()

    def _normalise_by(self, network: Classifier, views: Tensor) -> Classifier:
        """A copy whose statistics are those of views float [v, n, C, H, W]."""
        found, precision = copy.deepcopy(network), resolve_precision(self.precision, self.device)
        batches = views.flatten(end_dim=1).split(AT_ONCE)
        average_statistics(found, batches, precision=precision, device=self.device)
        return found

    def _view(self, settings: Kind) -> Tensor:
        """Views float [v, n, C, H, W] of evenly chosen images."""
        images = self.held[:: -(-len(self.held) // IMAGES)]
        augment = AUGMENTATIONS[settings.kind](settings, (images.shape[2], images.shape[3]))
        with _seeded(SEED):
            augment.advance(1.0)
            return torch.stack([view for _ in range(PAIRS) for view in augment.pair(normalise(images))])

    def _see(self, network: Classifier, views: Tensor) -> Tensor:
        """Features float [v, n, d]."""
        precision = resolve_precision(self.precision, self.device)
        found = []
        with torch.inference_mode(), compute_in(precision, self.device):
            for batch in views.flatten(end_dim=1).split(AT_ONCE):
                shown = batch.to(self.device).contiguous(memory_format=torch.channels_last)
                found.append(network.features(shown).float().cpu())
        return settle_undefined(torch.cat(found)).unflatten(0, views.shape[:2])


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """All draws inside follow from the seed; those outside go on as if there had been none."""
    state = random.getstate()
    with torch.random.fork_rng(devices=[]):
        random.seed(seed)
        torch.manual_seed(seed)
        try:
            yield
        finally:
            random.setstate(state)
