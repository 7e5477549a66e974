"""The small network that tests build by hand."""

from ops.classifiers.networks.classifier import Classifier
from ops.recipe.arms import SmallResNet


def small_resnet(channels: int, classes: int, width: int) -> Classifier:
    """An untrained classifier for images of any size."""
    return Classifier(SmallResNet(width=width), (channels, 0, 0), classes)
