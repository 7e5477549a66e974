"""The flow: solvers against closed-form solutions, the loss against its known minimum."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor

from ops.generators.kinds.ddpm import Ddpm
from ops.generators.kinds.denoiser import Denoiser
from ops.generators.kinds.edm import Edm
from ops.generators.kinds.flow import Flow, list_times

Velocity = Callable[[Tensor, float], Tensor]

SOLVERS = ("euler", "heun")
NOISE = torch.randn(5, 2, 3, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
IMAGE = torch.rand(NOISE.shape, generator=torch.Generator().manual_seed(5), dtype=torch.float64) * 2 - 1
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
    last = 1 / (2 * steps - 1)
    h = 2 * last
    expected = NOISE * (1 - h + h**2 / 2) ** (steps - 1) * (1 - last)
    assert torch.allclose(solve(lambda x, t: -x, "heun", steps), expected, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("steps", [1, 2, 3, 7])
def test_both_solvers_ask_for_the_velocity_at_the_right_times(steps: int) -> None:
    # dx/dt = t: Euler is the left Riemann sum; Heun is exact up to the last step, which is Euler's and half as long.
    h, last = 1 / steps, 1 / (2 * steps - 1)
    for solver, gained in (("euler", (1 - h) / 2), ("heun", (1 - last) ** 2 / 2 + last * (1 - last))):
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
    assert sorted(set(times)) == pytest.approx(list_times(solver, steps)[:-1])


def test_every_evaluation_covers_an_equal_share_of_the_time() -> None:
    assert list_times("heun", 3) == pytest.approx([0, 0.4, 0.8, 1])
    assert list_times("euler", 4) == pytest.approx([0, 0.25, 0.5, 0.75, 1])
    for steps in range(1, 65):
        heun, euler = (np.diff(list_times(solver, steps)) for solver in SOLVERS[::-1])
        np.testing.assert_allclose(euler, 1 / steps)
        np.testing.assert_allclose(heun[-1], 1 / (2 * steps - 1))
        np.testing.assert_allclose(heun[:-1], 2 / (2 * steps - 1))
        assert list_times("heun", steps)[-1] == 1.0  # exactly, so that the last step is known to be Euler's


def test_part_of_the_way_is_cut_evenly_where_all_steps_are_heuns() -> None:
    assert list_times("heun", 2, 0.0, 0.5) == pytest.approx([0, 0.25, 0.5])
    assert list_times("heun", 2, 0.5, 1.0) == pytest.approx([0.5, 0.5 + 1 / 3, 1])


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


def vary(velocity: Velocity, image: Tensor, strength: float, solver: str, steps: int) -> Tensor:
    return Flow().vary(velocity, image, NOISE, strength, solver=solver, steps=steps)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("strength", [0.01, 0.35, 1.0])
def test_a_variant_starts_from_its_noised_image_and_takes_the_rest_of_the_way(solver: str, strength: float) -> None:
    times: list[float] = []

    def velocity(x: Tensor, t: float) -> Tensor:
        times.append(t)
        return torch.full_like(x, 2.0)

    varied = vary(velocity, IMAGE, strength, solver, 3)
    start = strength * NOISE + (1 - strength) * IMAGE
    assert torch.allclose(varied, start + 2 * strength, rtol=0, atol=1e-14)
    assert len(times) == Flow().count_evaluations(solver, 3)
    assert sorted(set(times)) == pytest.approx(list_times(solver, 3, 1 - strength)[:-1])
    assert times[0] == pytest.approx(1 - strength)


@pytest.mark.parametrize("solver", SOLVERS)
def test_the_variants_of_any_image_are_the_point_where_the_data_are_one_point(solver: str) -> None:
    point = torch.full((2, 3, 4), 0.3, dtype=torch.float64)
    for strength in (0.01, 0.4, 1.0):
        varied = vary(lambda x, t: (point - x) / (1 - t), IMAGE, strength, solver, 3)
        assert torch.allclose(varied, point.expand_as(NOISE), rtol=0, atol=1e-12)


def test_with_a_strength_of_1_nothing_is_left_of_the_seed_image() -> None:
    for solver in SOLVERS:
        varied = vary(lambda x, t: -x, IMAGE, 1.0, solver, 3)
        assert torch.equal(varied, solve(lambda x, t: -x, solver, 3))


@pytest.mark.parametrize("kind", [Edm(), Ddpm()])
def test_other_kinds_make_no_variants(kind: Denoiser) -> None:
    with pytest.raises(NotImplementedError, match=f"kind {kind.name} draws from noise alone"):
        kind.vary(lambda x, t: x, IMAGE, NOISE, 0.3, solver="euler", steps=1)


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
