"""Learn to name images from their labels, from random weights, for a fixed number of optimizer steps."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from ops.classifiers.domains import Domains
from ops.classifiers.ingredients import Head, Training
from ops.classifiers.learning import learn
from ops.classifiers.lessons import Lessons
from ops.classifiers.losses import LOSSES
from ops.classifiers.networks.classifier import Classifier
from ops.classifiers.statistics import reestimate_statistics
from ops.machine.precision import compute_in, resolve_precision


def fit_supervised(training: Training) -> Classifier:
    """A trained network in evaluation mode on the training's device; the same training gives the same weights."""

    def start(head: Head) -> Classifier:
        return Classifier(training.budget.network, training.data.shape, training.data.classes, head)

    return teach(training, start)


def teach(
    training: Training,
    start: Callable[[Head], Classifier],
    build: Callable[[nn.Module, float, float], list[Optimizer]] | None = None,
) -> Classifier:
    """As `fit_supervised`, of the network that `start` makes with a head. build: as for `learn`."""
    arm, budget, device = training.arm, training.budget, training.device
    torch.manual_seed(training.seed)
    precision = resolve_precision(budget.precision, device)
    model = start(LOSSES[arm.loss.kind].head(arm.loss)).to(device)
    domains = None if arm.separate is None else Domains(model, arm.separate)
    lessons = Lessons(training, model, precision)

    def find_loss(step: int) -> Tensor:
        parts = lessons.prepare(step)
        with compute_in(precision, device):
            if domains is None:
                each = model(torch.cat([part.images for part in parts]) if len(parts) > 1 else parts[0].images)
                logits = each.split([len(part.images) for part in parts])
            else:
                logits = tuple(domains.forward(part.images, is_generated=part.is_generated) for part in parts)
        losses = [part.find_loss(found.float()) for part, found in zip(parts, logits, strict=True)]
        return losses[0] if len(losses) == 1 else torch.stack(losses).sum()

    learn(model, find_loss, training, build)
    if domains is not None:
        domains.join()
    if budget.clean_statistics:
        reestimate_statistics(model, lessons.list_clean(), precision=precision, device=device)
    return model
