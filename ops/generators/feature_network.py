"""What an encoder of a prior is for a classifier: a network from images to features."""

from __future__ import annotations

from torch import Tensor, nn


class FeatureNetwork(nn.Module):
    """Float images [n, C, H, W] in -1..1 to features float [n, feature_size]; gradients pass through."""

    feature_size: int

    def forward(self, x: Tensor) -> Tensor:
        raise NotImplementedError(f"{type(self).__name__} does not say how images become features")
