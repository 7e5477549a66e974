"""Supervised training, and then the last layer alone once more: on balanced features, or on generated ones as well.

`refitted` is classifier retraining (cRT: Kang et al. 2020): all classes equally often. `feature_diffusion` is LDMLR
(Han et al. 2024): a small diffusion model of the features adds some to every class, and all are drawn alike.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ops.classifiers.data import TrainingSet
from ops.classifiers.ingredients import Training
from ops.classifiers.networks.classifier import Classifier
from ops.classifiers.trainers.feature_flow import draw_features
from ops.classifiers.trainers.features import read_features, refit_head
from ops.classifiers.trainers.supervised import fit_supervised
from ops.recipe.ingredients.trainers import FeatureDiffusionTrainer, RefittedTrainer

LEAST = 5  # features that are generated for a class, as in LDMLR's code


def fit_refitted(training: Training) -> Classifier:
    """cRT: the last layer sees each class equally often, and within a class images in proportion to their weights."""
    settings, data = training.arm.trainer, training.data
    assert isinstance(settings, RefittedTrainer)
    network, features = _fit_first(training)
    shares = data.weights / np.bincount(data.labels.numpy(), weights=data.weights)[data.labels.numpy()]
    refit_head(network, features, data.labels, shares, epochs=settings.epochs, seed=training.seed)
    return network


def fit_feature_diffusion(training: Training) -> Classifier:
    """LDMLR: a generated feature weighs as much as a real image, a generated image as much less as in `data`.

    Without a generated feature the last layer is fitted again on those of the images.
    """
    settings, data = training.arm.trainer, training.data
    assert isinstance(settings, FeatureDiffusionTrainer)
    network, features = _fit_first(training)
    wanted = count_wanted(data, settings)
    every, labels, weights = features, data.labels, data.weights
    if wanted.any():
        drawn, more = draw_features(
            features, data.labels, data.weights, wanted, steps=settings.steps, seed=training.seed
        )
        every, labels = torch.cat([features, drawn]), torch.cat([labels, more])
        weights = np.concatenate([weights, np.full(len(drawn), weights.max())])
    refit_head(network, every, labels, weights, epochs=settings.epochs, seed=training.seed)
    return network


def count_wanted(data: TrainingSet, settings: FeatureDiffusionTrainer) -> Tensor:
    """Features to generate for each class, int64 [K]; none for a class without images."""
    counts = torch.from_numpy(data.counts)  # a generated image counts as part of a real one
    if settings.fill == "equalise":
        wanted = (counts.max() - counts).round().long()
    elif settings.share == 0:
        return torch.zeros(len(counts), dtype=torch.int64)
    else:
        wanted = (settings.share * counts).round().long().clamp(min=LEAST)
    return torch.where(counts > 0, wanted, 0)


def _fit_first(training: Training) -> tuple[Classifier, Tensor]:
    """The network after supervised training, in evaluation mode, and its features of the training images."""
    network = fit_supervised(training)
    return network, read_features(network, training.data, training.budget.precision, training.device)
