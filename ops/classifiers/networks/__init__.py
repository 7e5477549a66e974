"""The networks that a recipe may name, that of a prior, and the heads that losses may ask for: each is one line here.

A body is built from its section of the recipe and the images' shape (channels, height, width), and has a
`feature_size`; a head from that, the number of classes and its own keys.
"""

from collections.abc import Callable
from typing import Any

from torch import nn

from ops.classifiers.networks.cosine import CosineHead
from ops.classifiers.networks.mlp import MlpBody
from ops.classifiers.networks.prior_encoder import PriorEncoder, PriorEncoderBody
from ops.classifiers.networks.resnet18 import ResNet18Body
from ops.classifiers.networks.small_resnet import SmallResNetBody
from ops.recipe.arms import NETWORKS, Network

BODIES: dict[str, Callable[[Any, tuple[int, int, int]], Any]] = {
    "small_resnet": SmallResNetBody,
    "resnet18": ResNet18Body,
    "mlp": MlpBody,
    "prior_encoder": PriorEncoderBody,
}
DESCRIPTIONS: dict[str, type[Network]] = {**NETWORKS, "prior_encoder": PriorEncoder}  # of stored networks
HEADS: dict[str, Callable[..., nn.Module]] = {"linear": nn.Linear, "cosine": CosineHead}
