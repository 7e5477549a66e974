"""A network of fully connected layers on the pixels, for images of one size."""

from __future__ import annotations

import math
from itertools import pairwise

from torch import nn

from ops.recipe.arms import Mlp


class MlpBody(nn.Sequential):
    """Float images [n, C, H, W], normalised, to the last hidden layer [n, widths[-1]]."""

    def __init__(self, settings: Mlp, shape: tuple[int, int, int]) -> None:
        sizes = (math.prod(shape), *settings.widths)
        layers: list[nn.Module] = [nn.Flatten()]
        for inputs, outputs in pairwise(sizes):
            layers += [nn.Linear(inputs, outputs, bias=False), nn.BatchNorm1d(outputs), nn.ReLU(inplace=True)]
        super().__init__(*layers)
        self.feature_size = sizes[-1]
