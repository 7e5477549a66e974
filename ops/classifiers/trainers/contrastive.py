"""Learn from views without labels, then name what is seen: an arm with a contrastive trainer becomes a classifier.

The network learns from all images that the arm sees, real and generated, with and without labels, and from no label.
The offline probe is a logistic regression on its features of the labelled real images as they are. Validation chooses
how strongly that is regularised. The features' scale goes into the head's weights, so that the result is a network like
that of any arm. The optimizer is that of all arms.
"""

from __future__ import annotations

import random

import numpy as np
import torch
from torch import Tensor

from ops.classifiers.answering import predict, settle_undefined
from ops.classifiers.augmentations import AUGMENTATIONS
from ops.classifiers.contrastive.batches import iterate_exactly
from ops.classifiers.contrastive.diagnostics import NEIGHBOURS, ONLINE, OnlineProbe, vote
from ops.classifiers.contrastive.methods import METHODS
from ops.classifiers.ingredients import Training, Validation
from ops.classifiers.learning import learn
from ops.classifiers.networks.classifier import Classifier, normalise
from ops.classifiers.networks.prior_encoder import SMALLEST
from ops.classifiers.statistics import reestimate_statistics
from ops.classifiers.trainers.probe import regress, set_head
from ops.machine.precision import compute_in, resolve_precision
from ops.recipe.ingredients.contrastive import ContrastiveTrainer
from ops.verdict.metric import score_answers


def fit_contrastive(training: Training) -> Classifier:
    """A network in evaluation mode on the training's device; the same training gives the same weights.

    `on_diagnosis` is told how the online probe and the nearest neighbours do on validation.
    """
    data, budget, device = training.data, training.budget, training.device
    assert training.validation is not None, "a probe chooses its regularisation on validation"
    random.seed(training.seed)
    torch.manual_seed(training.seed)
    network = Classifier(budget.network, data.shape, data.classes).to(device)
    online = OnlineProbe(network.feature_size, data.classes, device)
    learn_views(network, training, online)
    real = data if data.is_generated is None else data.select(~data.marks)
    if budget.clean_statistics:
        precision = resolve_precision(budget.precision, device)
        reestimate_statistics(network, real.images, precision=precision, device=device)

    def see(images: Tensor) -> Tensor:
        return settle_undefined(predict(network.features, images, precision=budget.precision, device=device))

    labelled = real if bool(real.is_labelled.all()) else real.select(real.is_labelled)
    known, held = see(labelled.images), see(training.validation.images)
    probe(network, known.numpy(), labelled.labels.numpy(), held.numpy(), training.validation)
    for name, answers in (
        (ONLINE, online.answer(held.to(device)).cpu()),
        (NEIGHBOURS, vote(known, labelled.labels, held, data.classes)),
    ):
        correct = answers.numpy() == training.validation.labels
        score = float(score_answers(correct, training.validation.labels, training.validation.metric))
        training.on_diagnosis(name, score)
    return network


def learn_views(network: Classifier, training: Training, online: OnlineProbe) -> None:
    """Train the network's body in place by the arm's method; `online` is told the labels that real images have."""
    settings, arm, data = training.arm.trainer, training.arm, training.data
    assert isinstance(settings, ContrastiveTrainer)
    steps, device = training.budget.steps, training.device
    precision = resolve_precision(training.budget.precision, device)
    method = METHODS[settings.kind](network, settings, steps)
    augment = AUGMENTATIONS[arm.augmentation.kind](arm.augmentation, data.shape[1:])
    batches = iterate_exactly(data.weights, data.marks, settings.batch_size, steps, training.seed)

    def find_loss(step: int) -> Tensor:
        augment.advance(step / steps)
        rows = next(batches)
        ids = torch.from_numpy(rows)
        pair = augment.pair(normalise(data.images.index_select(0, ids).to(device)))
        views = torch.cat(pair).contiguous(memory_format=torch.channels_last)
        with compute_in(precision, device):
            compared = method.compare(views, step)
        loss = method.find_loss(compared, ids.to(device))  # in fp32: bf16 would round cosines
        told = torch.from_numpy(~data.marks[rows] & data.is_labelled[rows]).repeat(2).to(device)
        online.learn(method.features[told], data.labels[ids].repeat(2).to(device)[told])
        return loss

    learn(method, find_loss, training)
    network.eval()


def probe(
    network: Classifier, features: np.ndarray, labels: np.ndarray, held: np.ndarray, validation: Validation
) -> None:
    """Fit the head, in place, to features float32 [n, d] with labels int [n]; held: those of the validation images."""
    mean, spread = features.mean(axis=0), features.std(axis=0)
    scale = np.maximum(spread, SMALLEST * spread.max() or 1.0)
    classes = network.description["classes"]
    scaled = ((values - mean) / scale for values in (features, held))
    (coefficients, intercepts), _ = regress(next(scaled), labels, next(scaled), validation, classes)
    coefficients = coefficients / scale
    set_head(network, coefficients, intercepts - coefficients @ mean)
