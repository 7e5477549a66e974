"""A classifier: a body that turns images into features, and a head that turns features into logits.

It carries the description it was built from. The description is stored beside the weights, so that the same network can
be built again without looking at a weight.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from torch import Tensor, nn

from ops.classifiers.networks import BODIES, DESCRIPTIONS, HEADS
from ops.recipe.arms import Network, Standardise
from ops.settings.kinds import OneOf


class Classifier(nn.Module):
    """Normalised float images [n, C, H, W] in, logits [n, K] out.

    `description` is plain JSON: `network` (the recipe's section), `shape` [C, H, W], `classes` and `head`, which is the
    name of a head or, if that has keys, {"kind": name, ...}.
    """

    def __init__(
        self,
        network: Network,
        shape: tuple[int, int, int],
        classes: int,
        head: str | Mapping[str, Any] = "linear",
    ) -> None:
        super().__init__()
        self.description: dict[str, Any] = {
            "network": network.model_dump(mode="json"), "shape": list(shape), "classes": classes, "head": head,
        }  # fmt: skip
        self.standardise = network.standardise
        self.body = BODIES[network.kind](network, shape)
        self.feature_size: int = self.body.feature_size
        keys = {"kind": head} if isinstance(head, str) else dict(head)
        self.head = HEADS[keys.pop("kind")](self.feature_size, classes, **keys)

    def features(self, x: Tensor) -> Tensor:
        """The input of the head, [n, feature_size]."""
        found: Tensor = self.body(standardise(x, self.standardise))
        return found

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(self.features(x))
        return logits


def build_classifier(description: Mapping[str, Any]) -> Classifier:
    """A network of random weights from a stored description."""
    channels, height, width = description["shape"]
    network = cast("Network", OneOf(DESCRIPTIONS).read(description["network"]))
    return Classifier(network, (channels, height, width), description["classes"], description["head"])


def standardise(x: Tensor, how: Standardise) -> Tensor:
    """Float images [n, C, H, W] in -1..1, each with mean 0 and standard deviation 1; "grey" averages channels before.

    An image without contrast stays near 0: four grey levels are added to its standard deviation.
    """
    if how == "none":
        return x
    if how == "grey":
        x = x.mean(dim=1, keepdim=True).expand_as(x)
    x = x - x.mean(dim=(1, 2, 3), keepdim=True)
    return x / (x.square().mean(dim=(1, 2, 3), keepdim=True).sqrt() + 8 / 255)


def normalise(images: Tensor) -> Tensor:
    """uint8 [n, C, H, W] in 0..255 to float32 in -1..1: fixed, so that no statistic leaks between sets."""
    return images.float().div_(127.5).sub_(1.0)
