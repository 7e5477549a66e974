"""Gradient ascent by its three rules: against torch's optimizer, a quadratic in closed form, and the score's rise."""

from __future__ import annotations

from typing import NamedTuple

import pytest
import torch

from ops.imagination.ascent import Ascent, climb
from ops.imagination.perturbation import Perturbation

START = Perturbation(torch.tensor([[0.9, -2.0], [0.3, 0.0]]), torch.tensor([[1.5, 0.25], [-1.0, 4.0]]))


class Slope(NamedTuple):
    gradient: Perturbation


def fall_off(here: Perturbation) -> Slope:
    """The gradient of -|z|² / 2 - |b|⁴ / 4."""
    return Slope(Perturbation(-here.z, -here.b.pow(3)))


def test_a_plain_step_multiplies_and_a_sign_step_has_one_length() -> None:
    plain, first = climb(START, fall_off, Ascent("plain", 3, 0.1))
    torch.testing.assert_close(plain.z, START.z * 0.9**3)
    assert torch.equal(first.gradient.z, -START.z)
    signed, _ = climb(START, fall_off, Ascent("sign", 1, 0.1))
    torch.testing.assert_close(signed.z, START.z - 0.1 * START.z.sign())
    assert signed.z[1, 1] == 0.0  # where the gradient is 0 nothing moves


def test_adam_is_torchs() -> None:
    here = [value.clone().requires_grad_() for value in START]
    optimizer = torch.optim.Adam(here, lr=0.05, maximize=True)
    for _ in range(7):
        for value, gradient in zip(here, fall_off(Perturbation(*here)).gradient, strict=True):
            value.grad = gradient.detach()
        optimizer.step()
    for value, other in zip(climb(START, fall_off, Ascent("adam", 7, 0.05))[0], here, strict=True):
        torch.testing.assert_close(value, other.detach())


@pytest.mark.parametrize("rule", ["sign", "plain", "adam"])
def test_a_variant_climbs_alike_alone_and_beside_others(rule: str) -> None:
    ascent = Ascent(rule, 4, 0.05)
    together, alone = climb(START, fall_off, ascent)[0], climb(START.take(slice(1)), fall_off, ascent)[0]
    assert torch.equal(together.take(slice(1)).b, alone.b)


@pytest.mark.parametrize(("steps", "size"), [(0, 0.1), (1, 0.0), (1, -1.0)])
def test_an_ascent_that_goes_nowhere_is_refused(steps: int, size: float) -> None:
    with pytest.raises(ValueError, match="needs 1 step"):
        Ascent("sign", steps, size)
