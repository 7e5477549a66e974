"""Supervised training that begins with the encoder of the recipe's prior, which learns on more slowly than the head."""

from __future__ import annotations

from functools import partial

from torch import nn
from torch.optim import Optimizer

from ops.classifiers.answering import predict
from ops.classifiers.ingredients import Head, Training
from ops.classifiers.learning import OPTIMIZERS
from ops.classifiers.networks.classifier import Classifier
from ops.classifiers.networks.prior_encoder import PriorEncoderBody, open_encoder
from ops.classifiers.trainers.supervised import teach
from ops.recipe.ingredients.trainers import FineTunedTrainer
from ops.training.loop import SHARE
from ops.training.optimizers import build_adamw, build_sgd


def fit_fine_tuned(training: Training) -> Classifier:
    """A trained network in evaluation mode, with the encoder as its body; else as `fit_supervised`."""
    settings = training.arm.trainer
    assert isinstance(settings, FineTunedTrainer)
    build = partial(build_in_two, optimizer=training.budget.optimizer, share=settings.encoder_rate)
    return teach(training, partial(start_with_encoder, training), build)


def start_with_encoder(training: Training, head: Head = "linear") -> Classifier:
    """The prior's encoder, scaled on the training images, below a new head; on the training's device."""
    assert training.prior is not None, "the training was made for another arm"
    description, encoder = open_encoder(training.prior)
    network = Classifier(description, training.data.shape, training.data.classes, head)
    body = network.body
    assert isinstance(body, PriorEncoderBody)
    body.encoder.load_state_dict(encoder.state_dict())
    network.eval().to(training.device)
    features = predict(network.features, training.data.images, precision="fp32", device=training.device)
    body.set_scale(features.to(training.device))
    return network


def build_in_two(
    network: nn.Module, learning_rate: float, weight_decay: float, *, optimizer: str, share: float
) -> list[Optimizer]:
    """Optimizers of a classifier whose body learns at a `share` of the rate at which its head does."""
    assert isinstance(network, Classifier)
    slow = OPTIMIZERS[optimizer](network.body, learning_rate, weight_decay)
    for group in (group for each in slow for group in each.param_groups):
        group[SHARE] = share
    build = build_sgd if optimizer == "sgd" else build_adamw
    return [*slow, *build(network.head, learning_rate, weight_decay)]
