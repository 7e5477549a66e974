"""A probe: logistic regression on what the encoder of the recipe's prior sees. The encoder stays as it is.

It says what the encoder learnt on the pool is worth without generating an image. It learns from the training images as
they are and from augmented views of them, and validation chooses how strongly it is regularised, as for the reference
model. No optimizer step is taken. The result is stored as a network like that of any other arm.
"""

from __future__ import annotations

import random

import numpy as np
import torch
from torch import Tensor, nn

from ops.classifiers.answering import predict
from ops.classifiers.augmentations import AUGMENTATIONS
from ops.classifiers.data import Views
from ops.classifiers.ingredients import Training, Validation
from ops.classifiers.networks.classifier import Classifier
from ops.classifiers.reference.fitting import STRENGTHS, build_regression, fit_regression, judge, read_weights
from ops.classifiers.trainers.fine_tuned import start_with_encoder
from ops.machine.precision import compute_in, resolve_precision
from ops.recipe.ingredients.trainers import ProbeTrainer

MOST_ROWS = 5_000  # views and images that are learnt from, unless there are more images
LOWEST = -1e4  # logit of a class without training images; -inf would not be an answer
PART = 256  # views that are encoded at a time


def fit_probe(training: Training) -> Classifier:
    """A network in evaluation mode on the training's device; `on_step` is told the loss on validation, once."""
    validation, data = training.validation, training.data
    assert validation is not None, "a probe chooses its regularisation on validation"
    random.seed(training.seed)
    torch.manual_seed(training.seed)
    network = start_with_encoder(training)
    features, labels = list_features(network, training), data.labels.numpy()
    held = predict(
        network.features, validation.images, precision=training.budget.precision, device=training.device
    ).numpy()
    repeated = np.tile(labels, len(features) // len(labels))
    (coefficients, intercepts), loss = regress(features, repeated, held, validation, data.classes)
    set_head(network, coefficients, intercepts)
    training.on_step(1, loss)
    return network


def set_head(network: Classifier, coefficients: np.ndarray, intercepts: np.ndarray) -> None:
    """Make weights [K, d] and intercepts [K] of a regression the network's head, which must be linear."""
    head = network.head
    assert isinstance(head, nn.Linear)
    with torch.no_grad():
        head.weight.copy_(torch.from_numpy(coefficients))
        head.bias.copy_(torch.from_numpy(np.maximum(intercepts, np.float32(LOWEST))))


def list_features(network: Classifier, training: Training) -> np.ndarray:
    """Features float32 [n, d] of the training images, and of as many views of each as are wanted below."""
    settings, data, arm = training.arm.trainer, training.data, training.arm
    assert isinstance(settings, ProbeTrainer)
    count = 0 if arm.augmentation.kind == "none" else settings.views
    count = min(count, max(0, MOST_ROWS // len(data.labels) - 1))
    views = Views(data, AUGMENTATIONS[arm.augmentation.kind](arm.augmentation, data.shape[1:]), training.device)
    precision = resolve_precision(training.budget.precision, training.device)

    def see(rows: np.ndarray) -> Tensor:
        with torch.inference_mode(), compute_in(precision, training.device):
            return network.features(views.look(rows)[0]).float().cpu()

    parts = np.array_split(np.arange(len(data.labels)), -(-len(data.labels) // PART))
    clean = predict(network.features, data.images, precision=training.budget.precision, device=training.device)
    found: np.ndarray = torch.cat([clean, *(see(rows) for _ in range(count) for rows in parts)]).numpy()
    return found


def regress(
    features: np.ndarray, labels: np.ndarray, held: np.ndarray, validation: Validation, classes: int
) -> tuple[tuple[np.ndarray, np.ndarray], float]:
    """Weights [K, d] and intercepts [K] of the regularisation that is best on validation, and its log loss there.

    features: float32 [n, d] of variance 1, with labels int [n]. held: those of the validation images.
    """
    regression = build_regression(STRENGTHS[0], features.shape[1], validation.metric)
    found = []
    for strength in STRENGTHS:
        regression.set_params(C=strength / features.shape[1])
        fit_regression(regression, features, labels)
        probabilities = np.zeros((len(held), classes))
        probabilities[:, regression.classes_] = regression.predict_proba(held)
        quality = judge(probabilities, validation.labels, validation.metric)
        found.append((quality, tuple(each.copy() for each in read_weights(regression, classes))))
    (_, negative), weights = max(found, key=lambda each: each[0])
    return (weights[0], weights[1]), -negative
