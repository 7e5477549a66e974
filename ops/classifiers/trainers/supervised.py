"""Learn to name images from their labels, from random weights, for a fixed number of optimizer steps."""

from __future__ import annotations

import random

import numpy as np
import torch

from ops.classifiers.augmentations import AUGMENTATIONS
from ops.classifiers.data import Views
from ops.classifiers.ingredients import Training
from ops.classifiers.losses import LOSSES
from ops.classifiers.networks.classifier import Classifier
from ops.classifiers.optimization import build_optimizers, build_schedules
from ops.classifiers.pairings import PAIRINGS
from ops.classifiers.samplers import SAMPLERS
from ops.classifiers.sampling import iterate_batches
from ops.machine.precision import resolve_precision


def fit_supervised(training: Training) -> Classifier:
    """A trained network in evaluation mode on the training's device; the same training gives the same weights."""
    data, arm, budget, device = training.data, training.arm, training.budget, training.device
    random.seed(training.seed)  # kornia's RandAugment draws its policy with Python's generator
    torch.manual_seed(training.seed)
    rng = np.random.default_rng([training.seed, 1])

    kind_of_loss = LOSSES[arm.loss.kind]
    model = Classifier(budget.network, data.shape, data.classes, kind_of_loss.head).to(device)
    loss_of = kind_of_loss(arm.loss, data, budget, device)
    views = Views(data, AUGMENTATIONS[arm.augmentation.kind](arm.augmentation, data.shape[1:]), device)
    pairing = PAIRINGS[arm.pairing.kind](arm.pairing, data, budget)
    sampler = SAMPLERS[arm.sampler.kind](arm.sampler, data, budget)
    optimizers = build_optimizers(budget.optimizer, model, training.learning_rate, training.weight_decay)
    schedules = build_schedules(optimizers, training.learning_rate, budget.steps)
    use_bf16 = resolve_precision(budget.precision, device) == "bf16"

    model.train()
    batches = iterate_batches(sampler.weights, budget.batch_size, budget.steps, training.seed)
    for step, index in enumerate(batches):
        images, targets = views.look(index)
        images, targets = pairing.pair(images, targets, views, step, rng)
        with torch.autocast(torch.device(device).type, torch.bfloat16, enabled=use_bf16):
            logits = model(images)
        loss = loss_of(logits.float(), targets, step)
        model.zero_grad(set_to_none=True)
        loss.backward()
        for optimizer, schedule in zip(optimizers, schedules, strict=True):
            optimizer.step()
            schedule.step()
        training.on_step(step, float(loss.detach()))
    return model.eval()
