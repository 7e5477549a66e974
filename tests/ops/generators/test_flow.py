"""The flow: solvers against closed-form solutions, the loss against its known minimum, shapes and pixels."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from torch import Tensor, nn

from ops.generators.flow import (
    FlowUNet,
    Velocity,
    count_evaluations,
    decay_schedule,
    flow_loss,
    integrate,
    time_grid,
    to_pixels,
)

SOLVERS = ("euler", "heun")
NOISE = torch.randn(5, 2, 3, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
LABELS = torch.arange(5)


def solve(velocity: Velocity, solver: str, steps: int) -> Tensor:
    return integrate(velocity, NOISE, LABELS, solver=solver, steps=steps)


def build_unet(channels: int, height: int, width: int, unshuffle: int = 2) -> FlowUNet:
    torch.manual_seed(0)
    return FlowUNet(
        channels=channels, height=height, width=width, classes=5, widths=(8, 16), unshuffle=unshuffle
    ).eval()


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("steps", [1, 2, 8])
def test_a_constant_velocity_is_integrated_exactly(solver: str, steps: int) -> None:
    velocity = LABELS.double()[:, None, None, None].expand_as(NOISE)
    assert torch.allclose(solve(lambda x, t, label: velocity, solver, steps), NOISE + velocity, rtol=0, atol=1e-14)


@pytest.mark.parametrize("steps", [1, 2, 3, 7])
def test_euler_on_a_linear_velocity_equals_its_closed_form(steps: int) -> None:
    expected = NOISE * (1 - 1 / steps) ** steps
    assert torch.allclose(solve(lambda x, t, label: -x, "euler", steps), expected, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("steps", [1, 2, 3, 7])
def test_heun_on_a_linear_velocity_equals_its_closed_form_with_a_last_euler_step(steps: int) -> None:
    h = 1 / steps
    expected = NOISE * (1 - h + h**2 / 2) ** (steps - 1) * (1 - h)
    assert torch.allclose(solve(lambda x, t, label: -x, "heun", steps), expected, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("steps", [1, 2, 3, 7])
def test_both_solvers_ask_for_the_velocity_at_the_right_times(steps: int) -> None:
    # dx/dt = t: Euler is the left Riemann sum; Heun is exact up to the last step, which is Euler's.
    h = 1 / steps
    for solver, gained in (("euler", (1 - h) / 2), ("heun", (1 - h) ** 2 / 2 + h * (1 - h))):
        solved = solve(lambda x, t, label: t[:, None, None, None].expand_as(x), solver, steps)
        assert torch.allclose(solved, NOISE + gained, rtol=0, atol=1e-12), solver


def test_halving_the_step_halves_eulers_error_and_quarters_heuns() -> None:
    for solver, order in (("euler", 1), ("heun", 2)):
        coarse, fine = (
            float((solve(lambda x, t, label: -x, solver, steps) - NOISE / math.e).norm()) for steps in (64, 128)
        )
        assert math.log2(coarse / fine) == pytest.approx(order, abs=0.1), solver


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("steps", [1, 2, 5])
def test_the_counted_evaluations_are_those_that_count_evaluations_promises(solver: str, steps: int) -> None:
    times: list[float] = []

    def velocity(x: Tensor, t: Tensor, label: Tensor) -> Tensor:
        assert t.shape == (len(x),)
        assert label is LABELS
        times.append(float(t[0]))
        return x

    solve(velocity, solver, steps)
    assert len(times) == count_evaluations(solver, steps)
    assert max(times) < 1  # the velocity at t = 1 is not trained
    assert sorted(set(times)) == pytest.approx(time_grid(steps)[:-1])


@pytest.mark.parametrize("solver", SOLVERS)
def test_integration_is_deterministic_and_leaves_the_noise_alone(solver: str) -> None:
    model, noise = build_unet(1, 8, 8), torch.randn(4, 1, 8, 8)
    before = noise.clone()
    with torch.inference_mode():
        runs = [integrate(model, noise, torch.arange(4), solver=solver, steps=2) for _ in range(2)]
    assert torch.equal(*runs)
    assert torch.equal(noise, before)


class PointVelocity(nn.Module):
    """The true velocity field when the data are one point: every path runs straight to it."""

    def __init__(self, point: Tensor) -> None:
        super().__init__()
        self.point = point

    def forward(self, x: Tensor, t: Tensor, label: Tensor) -> Tensor:
        return (self.point - x) / (1 - t)[:, None, None, None]


def test_the_true_velocity_of_a_single_point_has_no_loss() -> None:
    point = torch.rand(3, 6, 5, generator=torch.Generator().manual_seed(1)) * 2 - 1
    images, labels = point.expand(500, -1, -1, -1), torch.zeros(500, dtype=torch.int64)
    loss = flow_loss(PointVelocity(point), images, labels, torch.Generator().manual_seed(2))
    assert float(loss) < 1e-9
    wrong = flow_loss(PointVelocity(point + 0.1), images, labels, torch.Generator().manual_seed(2))
    assert float(wrong) > 0.01


@pytest.mark.parametrize("solver", SOLVERS)
def test_the_true_velocity_of_a_single_point_leads_to_it_in_one_step_or_many(solver: str) -> None:
    point = torch.full((2, 3, 4), 0.3, dtype=torch.float64)
    for steps in (1, 4):
        solved = solve(PointVelocity(point), solver, steps)
        assert torch.allclose(solved, point.expand_as(NOISE), rtol=0, atol=1e-12)


class Recorder(nn.Module):
    """Predicts nothing and remembers what it was asked."""

    def forward(self, x: Tensor, t: Tensor, label: Tensor) -> Tensor:
        self.x, self.t, self.label = x, t, label
        return torch.zeros_like(x)


def test_the_loss_of_predicting_nothing_is_the_power_of_image_minus_noise() -> None:
    recorder, images = Recorder(), torch.full((20_000, 1, 2, 2), 0.5)
    labels = torch.arange(len(images)) % 3
    loss = flow_loss(recorder, images, labels, torch.Generator().manual_seed(4))
    assert float(loss) == pytest.approx(1.25, abs=0.03)  # E|0.5 - z|² = 0.25 + 1
    assert recorder.label is labels
    assert stats.kstest(torch.logit(recorder.t).numpy(), "norm").pvalue > 0.01
    # x_t = (1 - t) z + t x, so (x_t - t x) / (1 - t) must be the noise.
    t = recorder.t[:, None, None, None]
    noise = ((recorder.x - t * images) / (1 - t)).ravel()
    assert stats.kstest(noise.numpy(), "norm").pvalue > 0.01


def test_the_loss_depends_on_its_generator_and_not_on_the_global_one() -> None:
    images, labels, values = torch.zeros(8, 1, 4, 4), torch.zeros(8, dtype=torch.int64), []
    for global_seed, seed in ((0, 5), (1, 5), (1, 6)):
        torch.manual_seed(global_seed)
        values.append(float(flow_loss(Recorder(), images, labels, torch.Generator().manual_seed(seed))))
    assert values[0] == values[1] != values[2]


@pytest.mark.parametrize(
    ("shape", "unshuffle"), [((1, 28, 28), 2), ((3, 30, 25), 2), ((1, 16, 16), 1), ((3, 16, 16), 4), ((1, 5, 7), 4)]
)
def test_a_velocity_has_the_shape_of_its_images(shape: tuple[int, int, int], unshuffle: int) -> None:
    model = build_unet(*shape, unshuffle=unshuffle)
    with torch.inference_mode():
        velocity = model(torch.randn(2, *shape), torch.tensor([0.0, 0.5]), torch.tensor([0, 4]))
    assert velocity.shape == (2, *shape)
    assert torch.isfinite(velocity).all()


def test_a_velocity_depends_on_label_and_time_and_not_on_its_neighbours_in_the_batch() -> None:
    model, x = build_unet(1, 10, 9), torch.randn(3, 1, 10, 9)
    t, label = torch.tensor([0.1, 0.5, 0.9]), torch.tensor([0, 1, 2])
    with torch.inference_mode():
        together = model(x, t, label)
        alone = torch.cat([model(x[i : i + 1], t[i : i + 1], label[i : i + 1]) for i in range(3)])
        assert torch.allclose(together, alone, atol=1e-5)
        assert (model(x, t, label.roll(1)) - together).abs().max() > 1e-3
        assert (model(x, t.roll(1), label) - together).abs().max() > 1e-3


def test_every_grey_level_survives_the_way_to_floats_and_back() -> None:
    levels = torch.arange(256, dtype=torch.uint8).reshape(1, 1, 16, 16)
    assert torch.equal(to_pixels(levels.float() / 127.5 - 1), levels.permute(0, 2, 3, 1))


def test_pixels_are_clamped_rounded_and_channels_last() -> None:
    images = torch.tensor([-5.0, -1.0, -0.999, 0.0, 0.999, 1.0, 5.0, math.nextafter(-1, 0)]).reshape(1, 2, 1, 4)
    pixels = to_pixels(images)
    assert pixels.dtype == torch.uint8
    assert pixels.shape == (1, 1, 4, 2)
    # 0 lies half-way between 127 and 128 and goes to the even one.
    assert pixels[..., 0].ravel().tolist() == [0, 0, 0, 128]
    assert pixels[..., 1].ravel().tolist() == [255, 255, 255, 0]


def test_the_time_grid_runs_evenly_from_noise_to_data() -> None:
    assert time_grid(1) == [0, 1]
    assert time_grid(4) == [0, 0.25, 0.5, 0.75, 1]
    assert all(time_grid(steps)[-1] == 1 for steps in range(1, 65))


def test_the_learning_rate_rises_stays_and_falls_to_almost_nothing() -> None:
    factors = [decay_schedule(step, 100, 10) for step in range(100)]
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
    assert 0 < decay_schedule(step, steps, warmup) <= 1
