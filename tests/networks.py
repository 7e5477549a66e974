"""The small networks that tests build by hand."""

import torch

from ops.classifiers.networks.classifier import Classifier
from ops.judging.scorer import Scorer
from ops.recipe.arms import SmallResNet


def small_resnet(channels: int, classes: int, width: int) -> Classifier:
    """An untrained classifier for images of any size."""
    return Classifier(SmallResNet(width=width), (channels, 0, 0), classes)


def untrained_scorer(channels: int, classes: int, folds: int, seed: int = 0) -> Scorer:
    """A scorer that has learnt nothing, but whose features differ between images."""
    torch.manual_seed(seed)
    return Scorer(tuple(small_resnet(channels, classes, 8).eval() for _ in range(folds)), 1.0, "fp32")
