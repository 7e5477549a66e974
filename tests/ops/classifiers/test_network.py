"""The network: its convolution against torch's, shapes, and features as the pooled body."""

from __future__ import annotations

import json

import pytest
import torch
from torch import nn

from ops.classifiers.networks import BODIES
from ops.classifiers.networks.classifier import Classifier, build_classifier
from ops.classifiers.networks.layers import Conv, Residual
from ops.recipe.arms import NETWORKS, Mlp, Network, ResNet18, SmallResNet
from tests.networks import small_resnet


@pytest.mark.parametrize(("inputs", "outputs", "stride"), [(1, 4, 1), (3, 5, 2), (8, 8, 1)])
@pytest.mark.parametrize("size", [1, 3])
def test_the_convolution_equals_that_of_torch(inputs: int, outputs: int, stride: int, size: int) -> None:
    torch.manual_seed(0)
    ours = Conv(inputs, outputs, stride, size)
    theirs = nn.Conv2d(inputs, outputs, size, stride, padding=size // 2, bias=False)
    with torch.no_grad():
        theirs.weight.copy_(ours.weight.view(outputs, size, size, inputs).permute(0, 3, 1, 2))
    x = torch.randn(2, inputs, 9, 7)
    torch.testing.assert_close(ours(x), theirs(x))


def test_the_convolution_starts_as_wide_as_that_of_torch() -> None:
    torch.manual_seed(0)
    ours, theirs = Conv(64, 64).weight.detach(), nn.Conv2d(64, 64, 3, bias=False).weight.detach()
    assert float(ours.abs().max()) == pytest.approx(float(theirs.abs().max()), rel=0.01)
    assert float(ours.std()) == pytest.approx(float(theirs.std()), rel=0.02)


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 20), (1, 8, 8)])
def test_features_are_the_body_averaged_over_places(shape: tuple[int, int, int]) -> None:
    model = small_resnet(shape[0], 5, 8).eval()
    x = torch.randn(3, *shape)
    features = model.features(x)
    assert features.shape == (3, model.feature_size) == (3, 16)
    maps = torch.nn.Sequential(*model.body)(x)
    torch.testing.assert_close(features, maps.mean(dim=(2, 3)))
    assert model(x).shape == (3, 5)


def test_resnet18_is_torchvisions_with_a_stem_for_small_images() -> None:
    """Parameters of the published network at width 64: 11.17 million with ten classes (He et al. 2016, for CIFAR)."""
    model = Classifier(ResNet18(), (3, 32, 32), 10).eval()
    assert sum(parameter.numel() for parameter in model.parameters()) == 11_173_962
    maps = nn.Sequential(*model.body)(torch.randn(1, 3, 32, 32))
    assert maps.shape == (1, 512, 4, 4) and model.feature_size == 512


def test_an_mlp_equals_products_with_its_matrices() -> None:
    model = Classifier(Mlp(widths=(5, 4)), (1, 2, 3), 3)
    matrices = [parameter.shape for parameter in model.parameters() if parameter.ndim == 2]
    assert matrices == [(5, 6), (4, 5), (3, 4)]


def test_a_recipe_may_name_exactly_the_existing_networks() -> None:
    assert set(BODIES) == {*NETWORKS, "prior_encoder"}  # the last comes with a prior, and no recipe names it


@pytest.mark.parametrize(("shape", "stem", "layers"), [
    ((3, 63, 80), None, 1), ((3, 64, 64), None, 2), ((1, 28, 28), 2, 2), ((3, 96, 64), 1, 1),
])  # fmt: skip
def test_large_images_take_a_deeper_stem_and_keep_it_when_rebuilt(
    shape: tuple[int, int, int], stem: int | None, layers: int
) -> None:
    model = Classifier(SmallResNet.model_validate({"width": 4, "stem": stem}), shape, 2)
    first_block = next(place for place, part in enumerate(model.body) if isinstance(part, Residual))
    assert first_block == 2 * layers
    again = build_classifier(json.loads(json.dumps(model.description)))
    again.load_state_dict(model.state_dict())


@pytest.mark.parametrize(("stride", "side"), [(1, 16), (2, 8), (4, 4)])
def test_the_stem_reduces_the_resolution_by_its_stride(stride: int, side: int) -> None:
    model = Classifier(SmallResNet(width=8, stride=stride), (3, 32, 32), 4)
    assert torch.nn.Sequential(*model.body)(torch.randn(2, 3, 32, 32)).shape == (2, 16, side, side)


def test_a_stem_of_one_layer_cannot_reduce_by_four() -> None:
    with pytest.raises(ValueError, match="stride 4 needs a stem of 2 layers"):
        SmallResNet(stride=4, stem=1)


@pytest.mark.parametrize("side", [4, 5, 8, 9])
@pytest.mark.parametrize(
    "settings",
    [
        SmallResNet(width=8, stride=1),
        SmallResNet(width=8, stride=2),
        SmallResNet(width=8, stride=4),
        ResNet18(width=4),
        Mlp(widths=(8,)),
    ],
)
def test_a_network_says_where_it_cannot_learn_from_one_image_at_a_time(settings: Network, side: int) -> None:
    body, image = BODIES[settings.kind](settings, (1, 3, side)).train(), torch.zeros(1, 1, 3, side)
    if settings.needs_two(side):
        with pytest.raises(ValueError, match="more than 1 value per channel"):
            body(image)
    else:
        body(image)
