"""Networks whose batch normalisations are folded answer as before, to rounding in fp32 and nearly so in bf16."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from ops.classifiers.networks.classifier import Classifier
from ops.classifiers.networks.folding import fold_norms
from ops.recipe.arms import Mlp, Network, ResNet18, SmallResNet

SHAPE, CLASSES = (3, 16, 16), 7


def build(network: Network) -> Classifier:
    """A network whose normalisations have weights and statistics of their own."""
    torch.manual_seed(0)
    model = Classifier(network, SHAPE, CLASSES, {"kind": "cosine", "scale": 30})
    for norm in model.modules():
        if isinstance(norm, nn.BatchNorm1d | nn.BatchNorm2d):
            nn.init.uniform_(norm.weight, 0.5, 1.5)
            nn.init.normal_(norm.bias, std=0.3)
            norm.running_mean.normal_(std=0.3)
            norm.running_var.uniform_(0.3, 2.0)
    return model.eval()


NETWORKS = [
    SmallResNet(width=8), SmallResNet(width=8, stride=4, standardise="image"), ResNet18(width=4), Mlp(widths=(24, 16)),
]  # fmt: skip


@pytest.mark.parametrize("network", NETWORKS, ids=str)
@torch.no_grad()
def test_folding_changes_no_answer(network: Network) -> None:
    model = build(network)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    folded = fold_norms(model)
    kinds = [type(module) for module in folded.modules()]
    assert nn.BatchNorm1d not in kinds and nn.BatchNorm2d not in kinds
    images = torch.rand(64, *SHAPE) * 2 - 1
    expected, found = model(images), folded(images)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)  # logits of up to 30
    assert torch.equal(found.argmax(1), expected.argmax(1))
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items()), "the network itself stays"
    assert not any(value.requires_grad for value in folded.parameters())


@pytest.mark.parametrize("network", NETWORKS, ids=str)
@torch.no_grad()
def test_in_bf16_a_folded_network_is_about_as_near_to_fp32_as_itself(network: Network) -> None:
    model, images = build(network), torch.rand(256, *SHAPE) * 2 - 1
    exact = model(images)
    errors, same = [], []
    for each in (model, fold_norms(model, torch.bfloat16)):
        with torch.autocast("cpu", torch.bfloat16):
            answers = each(images).float()
        errors.append((answers - exact).square().mean().sqrt().item())
        same.append((answers.argmax(1) == exact.argmax(1)).float().mean().item())
    assert 0 < errors[1] < 2.5 * errors[0] and min(same) > 0.97


def test_a_network_in_training_is_not_folded() -> None:
    with pytest.raises(ValueError, match="evaluation mode"):
        fold_norms(build(NETWORKS[0]).train())
