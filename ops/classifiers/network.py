"""The classifier every arm trains: a small residual network for images of 16 to 64 pixels a side.

It halves the resolution in its first layer, which costs a little accuracy and makes it several times
cheaper than a full-resolution stem on a CPU. It knows nothing of data, arms or training.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


def conv_norm(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    """3x3 convolution without bias, then batch normalisation."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
    )


class Residual(nn.Module):
    """x + f(x) at constant width and resolution, ReLU after the sum (He et al. 2016, fig. 2)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = conv_norm(width, width)
        self.second = conv_norm(width, width)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x + self.second(F.relu(self.first(x))))


class SmallResNet(nn.Module):
    """Images in, logits out; `features` gives the pooled penultimate layer.

    Parameters
    ----------
    channels : 1 (grey) or 3 (RGB).
    classes : number of logits, at least 2.
    width : channels of the first stage; the second has twice as many, which is also the feature size.
    """

    def __init__(self, channels: int, classes: int, width: int = 32) -> None:
        super().__init__()
        self.feature_size = 2 * width
        self.body = nn.Sequential(
            conv_norm(channels, width, stride=2),
            nn.ReLU(),
            Residual(width),
            conv_norm(width, 2 * width, stride=2),
            nn.ReLU(),
            Residual(2 * width),
        )
        self.head = nn.Linear(self.feature_size, classes)

    def features(self, x: Tensor) -> Tensor:
        """Float images [n, C, H, W], normalised, to features [n, 2 * width]."""
        return self.body(x).mean(dim=(2, 3))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.features(x))


def normalise(images: Tensor) -> Tensor:
    """uint8 [n, C, H, W] in 0..255 to float32 in -1..1: fixed, so that no statistic leaks between sets."""
    return images.float().div_(127.5).sub_(1.0)
