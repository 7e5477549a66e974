"""Pseudo-labels: a network says what it sees in unlabelled images, and the next one learns from these and the others.

Lee (2013) labels them while a network learns; here the first network has learnt from the labelled images until its end,
and the second begins anew, as in self-training (Xie et al. 2020, without noise of its own: the arm's augmentation and
pairing are there in both). Each takes all of the arm's steps, so the arm takes as many times longer as there are
networks. The first one is exactly that of the same arm without a pool.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ops.classifiers.answering import predict, settle_undefined
from ops.classifiers.data import TrainingSet
from ops.classifiers.ingredients import Training
from ops.classifiers.networks.classifier import Classifier
from ops.recipe.ingredients.unlabelled import NoUnlabelled, PseudoLabels


def fit_pseudo_labelled(training: Training, fit: Callable[[Training], Classifier]) -> Classifier:
    """The last network of a training whose arm has pseudo-labels. fit: the arm's trainer."""
    settings, pool = training.arm.unlabelled, training.pool
    assert isinstance(settings, PseudoLabels) and pool is not None
    plain = replace(training, arm=training.arm.model_copy(update={"unlabelled": NoUnlabelled()}))
    network = fit(replace(plain, on_step=lambda step, loss: None))
    for number in range(settings.rounds):
        logits = predict(network, pool, precision=training.budget.precision, device=training.device)
        answers = F.softmax(settle_undefined(logits).double(), dim=1)
        last = number == settings.rounds - 1
        labelled = replace(plain, data=add_pseudo_labelled(training.data, pool, answers, settings))
        network = fit(labelled if last else replace(labelled, on_step=lambda step, loss: None))
    return network


def add_pseudo_labelled(data: TrainingSet, pool: Tensor, answers: Tensor, settings: PseudoLabels) -> TrainingSet:
    """The training set with the images of the pool, uint8 [m, C, H, W], whose answers [m, K] are sure.

    Labelled images keep their weights, and those of the pool weigh `ratio` times as much as these in total, but none of
    them more than a labelled one: a few sure images are not shown again and again. Without a sure answer it is the set
    as it is.
    """
    probability, labels = answers.max(dim=1)
    rows = torch.nonzero(probability > settings.threshold).flatten()
    if not len(rows):
        return data
    labels, known = labels[rows], F.one_hot(data.labels, data.classes).float()
    shares = weigh_alike(labels.numpy(), data.classes) if settings.balanced else np.ones(len(rows))
    weights = np.minimum(settings.ratio * data.weights.sum() * shares / shares.sum(), data.weights.max())
    return replace(
        data,
        images=torch.cat([data.images, pool[rows]]),
        labels=torch.cat([data.labels, labels]),
        weights=np.concatenate([data.weights, weights]),
        soft=torch.cat([known, answers[rows].float()]) if settings.labels == "soft" else None,
    )


def weigh_alike(labels: np.ndarray, classes: int) -> np.ndarray:
    """Weights float64 [n] by which all classes that occur among labels int64 [n] are shown equally often."""
    shares: np.ndarray = 1.0 / np.bincount(labels, minlength=classes)[labels]
    return shares
