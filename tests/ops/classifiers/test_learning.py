"""Optimizers: every parameter held once, the schedule's shape, and a step of each against its formula."""

from __future__ import annotations

import math
from typing import get_args

import pytest
import torch
from torch import nn

from ops.classifiers.learning import OPTIMIZERS
from ops.classifiers.networks.layers import Conv
from ops.recipe.classifiers import ClassifierSettings
from tests.networks import small_resnet


def test_the_recipe_names_exactly_the_optimizers_there_are() -> None:
    allowed = get_args(ClassifierSettings.model_fields["optimizer"].annotation)
    assert sorted(allowed) == sorted(OPTIMIZERS)


@pytest.mark.parametrize("name", list(OPTIMIZERS))
def test_every_parameter_is_held_once(name: str) -> None:
    model = small_resnet(3, 4, 8)
    held = [
        parameter
        for optimizer in OPTIMIZERS[name](model, 0.1, 0.0)
        for group in optimizer.param_groups
        for parameter in group["params"]
    ]
    assert sorted(map(id, held)) == sorted(map(id, model.parameters()))


def test_muon_takes_the_convolutions_and_nothing_else() -> None:
    model = small_resnet(1, 3, 8)
    muon, _ = OPTIMIZERS["muon"](model, 0.1, 0.0)
    taken = {id(parameter) for group in muon.param_groups for parameter in group["params"]}
    assert taken == {id(module.weight) for module in model.modules() if isinstance(module, Conv)}
    assert id(model.head.weight) not in taken


def test_muon_moves_along_all_singular_directions_alike() -> None:
    # A gradient of rank 8 whose singular values span a factor of 8: SGD would keep the factor.
    torch.manual_seed(0)
    model = nn.Sequential(Conv(4, 8), nn.BatchNorm2d(8))  # the norm is for AdamW, which must have something
    before = model[0].weight.detach().clone()
    left, _ = torch.linalg.qr(torch.randn(8, 8))
    right, _ = torch.linalg.qr(torch.randn(36, 8))
    model[0].weight.grad = left @ torch.diag(torch.linspace(1, 8, 8)) @ right.T
    OPTIMIZERS["muon"](model, 0.02, 0.0)[0].step()
    change = (before - model[0].weight.detach()) / (0.02 * 0.2 * math.sqrt(36))
    values = torch.linalg.svdvals(change)
    assert float(values.max() / values.min()) < 3
    assert float(values.mean()) == pytest.approx(1, abs=0.3)
    assert float((left.T @ change @ right).diagonal().min()) > 0  # downhill in each of them
