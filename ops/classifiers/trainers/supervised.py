"""Learn to name images from their labels, from random weights, for a fixed number of optimizer steps."""

from __future__ import annotations

import random

import numpy as np
import torch
from torch import Tensor

from ops.classifiers.augmentations import AUGMENTATIONS
from ops.classifiers.data import Views
from ops.classifiers.ingredients import Training
from ops.classifiers.learning import learn
from ops.classifiers.losses import LOSSES
from ops.classifiers.networks.classifier import Classifier
from ops.classifiers.pairings import PAIRINGS
from ops.classifiers.samplers import SAMPLERS
from ops.classifiers.sampling import iterate_batches
from ops.machine.precision import compute_in, resolve_precision


def fit_supervised(training: Training) -> Classifier:
    """A trained network in evaluation mode on the training's device; the same training gives the same weights."""
    data, arm, budget, device = training.data, training.arm, training.budget, training.device
    random.seed(training.seed)  # kornia's RandAugment draws its policy with Python's generator
    torch.manual_seed(training.seed)
    rng = np.random.default_rng([training.seed, 1])

    kind_of_loss = LOSSES[arm.loss.kind]
    model = Classifier(budget.network, data.shape, data.classes, kind_of_loss.head(arm.loss)).to(device)
    sampler = SAMPLERS[arm.sampler.kind](arm.sampler, data, budget)
    loss_of = kind_of_loss(arm.loss, data, sampler, budget, device)
    views = Views(data, AUGMENTATIONS[arm.augmentation.kind](arm.augmentation, data.shape[1:]), device)
    pairing = PAIRINGS[arm.pairing.kind](arm.pairing, data, budget)
    batches = iterate_batches(sampler.weights, budget.batch_size, budget.steps, training.seed)
    precision = resolve_precision(budget.precision, device)

    def find_loss(step: int) -> Tensor:
        images, targets = views.look(next(batches))
        images, targets = pairing.pair(images, targets, views, step, rng)
        with compute_in(precision, device):
            logits = model(images)
        return loss_of(logits.float(), targets, step)

    learn(model, find_loss, training)
    return model
