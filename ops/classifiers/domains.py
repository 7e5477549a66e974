"""Keep generated images apart in a network: a second set of normalisation layers, a second head, or both.

Real and generated images differ in ways that a network can see. With layers of its own the generated domain does not
move the statistics and the last weights that test images meet (auxiliary batch normalisation: Xie et al. 2020; a head
for generated images: RSMatch 2024). The second set is used in training and dropped at the end, so that a stored network
is like that of any other arm.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Literal

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from ops.classifiers.networks.classifier import Classifier

Apart = Literal["norm", "head", "both"]


class Twin(nn.Module):
    """A layer for real images and its copy for generated ones; `is_generated` says which of them is used."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.real, self.generated = layer, deepcopy(layer)
        self.is_generated = False

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = (self.generated if self.is_generated else self.real)(x)
        return found


class Domains:
    """The twins of a network, which replace its layers in place until `join`."""

    def __init__(self, network: Classifier, apart: Apart) -> None:
        self.network = network
        if apart in ("norm", "both"):
            _replace(network.body, lambda layer: Twin(layer) if isinstance(layer, _BatchNorm) else layer)
        if apart in ("head", "both"):
            network.head = Twin(network.head)

    def forward(self, images: Tensor, *, is_generated: bool) -> Tensor:
        """Logits [n, K] of images of one domain, through its layers."""
        for layer in self.network.modules():
            if isinstance(layer, Twin):
                layer.is_generated = is_generated
        logits: Tensor = self.network(images)
        return logits

    def join(self) -> None:
        """Drop the layers of generated images."""
        _replace(self.network, lambda layer: layer.real if isinstance(layer, Twin) else layer)


def _replace(module: nn.Module, change: Callable[[nn.Module], nn.Module]) -> None:
    """Every layer below `module` by what `change` makes of it."""
    for name, child in list(module.named_children()):
        changed = change(child)
        if changed is not child:
            setattr(module, name, changed)
        else:
            _replace(child, change)
