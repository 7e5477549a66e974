"""A small residual network for images of 16 to 64 pixels a side.

By default it halves the resolution in its first layer, which costs a little accuracy and makes it several times
cheaper than a full-resolution stem on a CPU. On larger images a second layer before the first block is worth its cost:
`growset bench stems`. `tuning.policy` tries other stems.
"""

from __future__ import annotations

from torch import Tensor, nn

from ops.classifiers.networks.layers import Residual, average_places, conv_norm
from ops.recipe.arms import SmallResNet

LARGE = 64  # pixels of the shorter side from which the stem has two layers


class SmallResNetBody(nn.Sequential):
    """Float images [n, C, H, W], normalised, to features [n, 2 * width]."""

    def __init__(self, settings: SmallResNet, shape: tuple[int, int, int]) -> None:
        width = settings.width
        layers = settings.stem or (2 if min(shape[1:]) >= LARGE or settings.stride == 4 else 1)
        first, second = (2, 2) if settings.stride == 4 else (settings.stride, 1)
        deeper = [conv_norm(width, width, stride=second), nn.ReLU(inplace=True)] if layers == 2 else []
        super().__init__(
            conv_norm(shape[0], width, stride=first),
            nn.ReLU(inplace=True),
            *deeper,
            Residual(width, width),
            conv_norm(width, 2 * width, stride=2),
            nn.ReLU(inplace=True),
            Residual(2 * width, 2 * width),
        )
        self.feature_size = 2 * width

    def forward(self, x: Tensor) -> Tensor:
        return average_places(super().forward(x))
