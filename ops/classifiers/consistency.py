"""A term without labels: what a network says of a strong view agrees with what an averaged network says of a weak one.

FixMatch (Sohn et al. 2020) with soft targets and a mean teacher (Tarvainen and Valpola 2017). It is λ(t) · KL(p̄ ‖ q):
p̄ is the averaged network's answer to the weak view, q the network's answer to the strong view of the same image. The
term does not know whether the images are real or generated, and what else is learnt.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ops.classifiers.augmentations.randaugment import RandomOperations
from ops.classifiers.data import TrainingSet, Views
from ops.classifiers.ingredients import Augmentation
from ops.machine.precision import compute_in
from ops.recipe.arms import RandAugment
from ops.recipe.ingredients.guidance import EmaConsistency
from ops.training.averages import follow, limit_decay


@dataclass(frozen=True)
class Unlabelled:
    """The strong views of a step, float [m, C, H, W], and the averaged network's answers to the weak ones, [m, K]."""

    views: Tensor
    answers: Tensor


class Consistency:
    """The term of one training. `weak` is the arm's augmentation; a strong view mirrors images only if it does."""

    def __init__(
        self,
        settings: EmaConsistency,
        data: TrainingSet,
        network: nn.Module,
        weak: Augmentation,
        *,
        mirrors: bool,
        labelled: int,
        steps: int,
        seed: int,
        precision: str,
        device: str,
    ) -> None:
        """data: the images without labels. labelled: images with labels in a step, of which `ratio` is taken."""
        self.settings, self.network, self.precision, self.device = settings, network, precision, device
        operations = RandAugment(
            strength=settings.strength, operations=settings.operations, flip=0.5 if mirrors else 0.0
        )
        strong = RandomOperations(operations, data.shape[1:])
        self.weak, self.strong = (Views(data, augment, device) for augment in (weak, strong))
        self.count = max(1, round(settings.ratio * labelled))
        self.ramp = settings.ramp * steps
        self.rng = np.random.default_rng([seed, 2])
        self.average = deepcopy(network).eval().requires_grad_(False)

    def look(self, step: int) -> Unlabelled:
        """Both views of the images of a step; the averaged network follows the network first."""
        self._follow(step)
        rows = self.rng.integers(len(self.weak.data.labels), size=self.count)
        with torch.no_grad(), compute_in(self.precision, self.device):
            answers = self.average(self.weak.look(rows)[0])
        return Unlabelled(self.strong.look(rows)[0], F.softmax(answers.float(), dim=1))

    def find_loss(self, logits: Tensor, unlabelled: Unlabelled, step: int) -> Tensor:
        """λ(t) times the mean over all images of KL(p̄ ‖ q), where p̄ is sure enough; logits [m, K] of strong views."""
        terms = F.kl_div(F.log_softmax(logits, dim=1), unlabelled.answers, reduction="none").sum(dim=1)
        sure = unlabelled.answers.amax(dim=1) >= self.settings.threshold
        grown = 1.0 if self.ramp == 0 else min(1.0, step / self.ramp)
        return self.settings.weight * grown * (terms * sure).mean()

    @torch.no_grad()
    def _follow(self, step: int) -> None:
        """θ̄ ← d·θ̄ + (1 - d)·θ; statistics of normalisation are the network's own."""
        follow(self.average, self.network, limit_decay(self.settings.decay, step))
        for kept, now in zip(self.average.buffers(), self.network.buffers(), strict=True):
            kept.copy_(now)
