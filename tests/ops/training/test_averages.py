"""Averaged weights against their closed form, and a look through them that leaves no trace."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from ops.training.averages import averaged, copy_parameters, load_parameters, update_average


def test_the_average_equals_its_closed_form() -> None:
    model = nn.Linear(1, 1, bias=False).double()
    values, decay = [3.0, -1.0, 4.0, 1.0, -5.0, 9.0, 2.0], 0.4
    average = torch.tensor([[10.0]], dtype=torch.float64)
    for step, value in enumerate(values):
        nn.init.constant_(model.weight, value)
        update_average([average], [model.weight], decay, step)
    decays = [min(decay, (1 + step) / (10 + step)) for step in range(len(values))]
    assert decays[0] == 0.1
    assert decays[-1] == 0.4
    expected = 10.0 * np.prod(decays) + sum(
        (1 - decays[i]) * np.prod(decays[i + 1 :]) * value for i, value in enumerate(values)
    )
    assert float(average) == pytest.approx(expected)
    assert model.weight.item() == 2.0


def test_the_averaged_weights_are_visible_only_inside_their_context() -> None:
    model = nn.Linear(2, 1).train()
    live = {name: value.detach().clone() for name, value in model.named_parameters()}
    with averaged(model, {name: value + 1 for name, value in live.items()}):
        assert not model.training
        assert all(torch.equal(value, live[name] + 1) for name, value in model.named_parameters())
    assert model.training
    assert all(torch.equal(value, live[name]) for name, value in model.named_parameters())


def test_the_own_weights_return_after_an_error_inside_the_context() -> None:
    model = nn.Linear(2, 1)
    live = copy_parameters(model)
    with pytest.raises(RuntimeError), averaged(model, {name: value + 1 for name, value in live.items()}):
        raise RuntimeError
    assert model.training
    assert all(torch.equal(value, live[name]) for name, value in model.named_parameters())


def test_only_the_parameters_that_are_named_are_overwritten() -> None:
    model = nn.Linear(2, 1)
    weight = model.weight.detach().clone()
    load_parameters(model, {"bias": torch.tensor([7.0])})
    assert model.bias.item() == 7.0
    assert torch.equal(model.weight, weight)
