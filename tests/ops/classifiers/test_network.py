"""The network: its convolution against torch's, shapes, and features as the pooled body."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from ops.classifiers.network import Conv3x3, SmallResNet


@pytest.mark.parametrize(("inputs", "outputs", "stride"), [(1, 4, 1), (3, 5, 2), (8, 8, 1)])
def test_the_convolution_equals_that_of_torch(inputs: int, outputs: int, stride: int) -> None:
    torch.manual_seed(0)
    ours, theirs = Conv3x3(inputs, outputs, stride), nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
    with torch.no_grad():
        theirs.weight.copy_(ours.weight.view(outputs, 3, 3, inputs).permute(0, 3, 1, 2))
    x = torch.randn(2, inputs, 9, 7)
    torch.testing.assert_close(ours(x), theirs(x))


def test_the_convolution_starts_as_wide_as_that_of_torch() -> None:
    torch.manual_seed(0)
    ours, theirs = Conv3x3(64, 64).weight.detach(), nn.Conv2d(64, 64, 3, bias=False).weight.detach()
    assert float(ours.abs().max()) == pytest.approx(float(theirs.abs().max()), rel=0.01)
    assert float(ours.std()) == pytest.approx(float(theirs.std()), rel=0.02)


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 20), (1, 8, 8)])
def test_features_are_the_body_averaged_over_places(shape: tuple[int, int, int]) -> None:
    model = SmallResNet(shape[0], 5, 8).eval()
    x = torch.randn(3, *shape)
    features = model.features(x)
    assert features.shape == (3, model.feature_size) == (3, 16)
    torch.testing.assert_close(features, model.body(x).mean(dim=(2, 3)))
    assert model(x).shape == (3, 5)
