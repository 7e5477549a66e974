"""The flow: solvers against closed-form solutions, the loss against its known minimum."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from scipy import stats
from torch import Tensor

from ops.generators.kinds.flow import Flow

Velocity = Callable[[Tensor, float], Tensor]

SOLVERS = ("euler", "heun")
NOISE = torch.randn(5, 2, 3, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
LABELS = torch.arange(5)


def solve(velocity: Velocity, solver: str, steps: int) -> Tensor:
    return Flow().integrate(velocity, NOISE, solver=solver, steps=steps)


def draw_levels(count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Noise [count, 1, 2, 2] and levels [count]."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, 1, 2, 2, generator=generator), torch.randn(count, generator=generator)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("steps", [1, 2, 8])
def test_a_constant_velocity_is_integrated_exactly(solver: str, steps: int) -> None:
    velocity = LABELS.double()[:, None, None, None].expand_as(NOISE)
    assert torch.allclose(solve(lambda x, t: velocity, solver, steps), NOISE + velocity, rtol=0, atol=1e-14)


@pytest.mark.parametrize("steps", [1, 2, 3, 7])
def test_euler_on_a_linear_velocity_equals_its_closed_form(steps: int) -> None:
    expected = NOISE * (1 - 1 / steps) ** steps
    assert torch.allclose(solve(lambda x, t: -x, "euler", steps), expected, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("steps", [1, 2, 3, 7])
def test_heun_on_a_linear_velocity_equals_its_closed_form_with_a_last_euler_step(steps: int) -> None:
    h = 1 / steps
    expected = NOISE * (1 - h + h**2 / 2) ** (steps - 1) * (1 - h)
    assert torch.allclose(solve(lambda x, t: -x, "heun", steps), expected, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("steps", [1, 2, 3, 7])
def test_both_solvers_ask_for_the_velocity_at_the_right_times(steps: int) -> None:
    # dx/dt = t: Euler is the left Riemann sum; Heun is exact up to the last step, which is Euler's.
    h = 1 / steps
    for solver, gained in (("euler", (1 - h) / 2), ("heun", (1 - h) ** 2 / 2 + h * (1 - h))):
        solved = solve(lambda x, t: torch.full_like(x, t), solver, steps)
        assert torch.allclose(solved, NOISE + gained, rtol=0, atol=1e-12), solver


def test_halving_the_step_halves_eulers_error_and_quarters_heuns() -> None:
    for solver, order in (("euler", 1), ("heun", 2)):
        coarse, fine = (float((solve(lambda x, t: -x, solver, steps) - NOISE / math.e).norm()) for steps in (64, 128))
        assert math.log2(coarse / fine) == pytest.approx(order, abs=0.1), solver


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("steps", [1, 2, 5])
def test_the_network_is_evaluated_as_often_as_count_evaluations_returns(solver: str, steps: int) -> None:
    times: list[float] = []

    def velocity(x: Tensor, t: float) -> Tensor:
        times.append(t)
        return x

    solve(velocity, solver, steps)
    assert len(times) == Flow().count_evaluations(solver, steps)
    assert max(times) < 1  # the velocity at t = 1 is not trained
    assert sorted(set(times)) == pytest.approx([step / steps for step in range(steps)])


class PointVelocity:
    """The true velocity field when the data are one point: every path runs straight to it."""

    def __init__(self, point: Tensor) -> None:
        self.point = point

    def __call__(self, x: Tensor, t: Tensor, label: Tensor) -> Tensor:
        return (self.point - x) / (1 - t)[:, None, None, None]


def test_the_true_velocity_of_a_single_point_has_no_loss() -> None:
    point = torch.rand(1, 2, 2, generator=torch.Generator().manual_seed(1)) * 2 - 1
    images, labels = point.expand(500, -1, -1, -1), torch.zeros(500, dtype=torch.int64)
    noise, level = draw_levels(500, 2)
    assert float(Flow().loss(PointVelocity(point), images, labels, noise, level)) < 1e-9
    assert float(Flow().loss(PointVelocity(point + 0.1), images, labels, noise, level)) > 0.01


@pytest.mark.parametrize("solver", SOLVERS)
def test_the_true_velocity_of_a_single_point_leads_to_it_in_one_step_or_many(solver: str) -> None:
    point = torch.full((2, 3, 4), 0.3, dtype=torch.float64)
    for steps in (1, 4):
        solved = solve(lambda x, t: (point - x) / (1 - t), solver, steps)
        assert torch.allclose(solved, point.expand_as(NOISE), rtol=0, atol=1e-12)


def test_the_loss_of_predicting_zero_is_the_power_of_image_minus_noise() -> None:
    images = torch.full((20_000, 1, 2, 2), 0.5)
    labels, (noise, level) = torch.arange(len(images)) % 3, draw_levels(len(images), 4)
    asked: list[Tensor] = []

    def predict(x: Tensor, t: Tensor, label: Tensor) -> Tensor:
        asked.extend((x, t, label))
        return torch.zeros_like(x)

    loss = Flow().loss(predict, images, labels, noise, level)
    assert float(loss) == pytest.approx(1.25, abs=0.03)  # E|0.5 - z|² = 0.25 + 1
    x, t, label = asked
    assert label is labels
    assert stats.kstest(torch.logit(t).numpy(), "norm").pvalue > 0.01
    # x_t = (1 - t) z + t x, so (x_t - t x) / (1 - t) must be the noise.
    blend = t[:, None, None, None]
    assert torch.allclose((x - blend * images) / (1 - blend), noise, atol=1e-3)
