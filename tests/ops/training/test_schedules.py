"""Schedules: a trapezoid's corners, and a cycle against torch's own."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from ops.training.schedules import RISE, one_cycle, trapezoid


def test_the_learning_rate_rises_stays_and_falls_to_almost_nothing() -> None:
    factors = [trapezoid(1.0, 100, 10)(step)["lr"] for step in range(100)]
    assert factors[0] == pytest.approx(1 / 10)
    assert factors[9] == 1
    assert factors[70] == 1
    assert factors[85] == pytest.approx(0.5)
    assert factors[99] == pytest.approx(1 / 30)
    assert factors[:10] == sorted(factors[:10])
    assert factors[70:] == sorted(factors[70:], reverse=True)


@given(steps=st.integers(1, 500), warmup=st.integers(0, 600), data=st.data())
def test_the_learning_rate_factor_lies_between_0_and_1(steps: int, warmup: int, data: st.DataObject) -> None:
    step = data.draw(st.integers(0, steps - 1))
    assert 0 < trapezoid(1.0, steps, warmup)(step)["lr"] <= 1


@pytest.mark.parametrize("steps", [1, 2, 3, 4, 5, 6, 7, 100])
@pytest.mark.parametrize("cycle_momentum", [False, True])
def test_a_cycle_is_that_of_torch(steps: int, cycle_momentum: bool) -> None:
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], 0.3, momentum=0.9)
    theirs = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.3, steps, pct_start=RISE, cycle_momentum=cycle_momentum)
    ours = one_cycle(0.3, steps, cycle_momentum=cycle_momentum)
    for step in range(steps):
        (group,) = optimizer.param_groups
        assert ours(step) == {key: group[key] for key in ours(step)}
        assert ("momentum" in ours(step)) == cycle_momentum
        optimizer.step()
        theirs.step()


def test_a_cycle_rises_to_its_peak_and_falls_to_almost_nothing() -> None:
    steps, peak = 100, 0.3
    rates = [one_cycle(peak, steps, cycle_momentum=False)(step)["lr"] for step in range(steps)]
    top = max(range(steps), key=rates.__getitem__)
    assert rates[top] == pytest.approx(peak)
    assert top == pytest.approx(RISE * steps, abs=1)
    assert rates == sorted(rates[: top + 1]) + sorted(rates[top + 1 :], reverse=True)
    assert rates[-1] < 1e-4 * peak
