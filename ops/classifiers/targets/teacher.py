"""Soft labels from the networks of another arm (Hinton et al. 2015, §2).

Teachers answer for the very pixels that the student sees, after augmentation and pairing: "consistent teaching" (Beyer
et al. 2022, §3.1). Their probabilities at temperature T are averaged. For images that they cover, the loss is
(1 - w) · own + w · T² · KL(p̄_T ‖ q_T), with the student's q_T.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ops.classifiers.ingredients import Targets
from ops.recipe.ingredients.guidance import TeacherTargets


class Teachers(Targets):
    """`teachers` map normalised images [n, C, H, W] to logits [n, K]; there is at least one."""

    def __init__(self, settings: TeacherTargets, teachers: Sequence[Callable[[Tensor], Tensor]]) -> None:
        if not teachers:
            raise ValueError("targets of a teacher need at least one network")
        self.teachers = teachers
        self.temperature, self.weight = settings.temperature, settings.weight

    def find_loss(self, logits: Tensor, images: Tensor, own: Callable[[], Tensor]) -> Tensor:
        with torch.no_grad():
            answers = average_answers([teach(images) for teach in self.teachers], self.temperature)
        distilled = distil(logits, answers, self.temperature)
        return distilled if self.weight == 1 else (1 - self.weight) * own() + self.weight * distilled

    @classmethod
    def covers(cls, settings: Any, *, is_generated: bool) -> bool:
        return settings.images in ("all", "generated" if is_generated else "real")


def average_answers(logits: Sequence[Tensor], temperature: float) -> Tensor:
    """p̄_T [n, K]: the mean over networks of softmax(logits / T), each float [n, K]."""
    return torch.stack([F.softmax(each.float() / temperature, dim=1) for each in logits]).mean(dim=0)


def distil(logits: Tensor, answers: Tensor, temperature: float) -> Tensor:
    """T² · KL(answers ‖ softmax(logits / T)), the mean over images; T² keeps the gradient's size (§2)."""
    learnt = F.log_softmax(logits / temperature, dim=1)
    return temperature**2 * F.kl_div(learnt, answers, reduction="batchmean")
