"""ResNet-18 as it is trained on CIFAR (He et al. 2016): a 3x3 stem without pooling, four stages of two blocks each.

At full resolution it costs some fifty times as much as the small network; it is meant for GPUs.
"""

from __future__ import annotations

from torch import Tensor, nn

from ops.classifiers.networks.layers import Residual, average_places, conv_norm
from ops.recipe.arms import ResNet18


class ResNet18Body(nn.Sequential):
    """Float images [n, C, H, W], normalised, to features [n, 8 * width]."""

    def __init__(self, settings: ResNet18, shape: tuple[int, int, int]) -> None:
        width = settings.width
        blocks = [
            Residual(inputs, outputs, stride)
            for before, outputs, first in ((1, 1, 1), (1, 2, 2), (2, 4, 2), (4, 8, 2))
            for inputs, outputs, stride in (
                (before * width, outputs * width, first),
                (outputs * width, outputs * width, 1),
            )
        ]
        super().__init__(conv_norm(shape[0], width), nn.ReLU(inplace=True), *blocks)
        self.feature_size = 8 * width

    def forward(self, x: Tensor) -> Tensor:
        return average_places(super().forward(x))
