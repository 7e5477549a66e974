"""EDM: the closed-form solution for Gaussian data, diffusers' scheduler, the loss of the true denoiser."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from diffusers import EDMEulerScheduler
from scipy import stats
from torch import Tensor

from ops.generators.kinds.edm import MIN_SIGMA_DATA, SIGMA_DATA, SIGMA_MAX, Edm, noise_levels, time_of
from ops.recipe.denoisers import EdmSettings

SPREAD = 0.3  # of the Gaussian data
NOISE = torch.randn(5, 1, 2, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def sigma_of(time: float) -> float:
    return math.exp(math.log(0.002) + time * math.log(40_000))


def true_output(x: Tensor, time: float) -> Tensor:
    """The network's output if the data are N(0, SPREAD²): the denoised image is then SPREAD² / (SPREAD² + σ²)·state."""
    sigma = sigma_of(time)
    total = sigma**2 + SIGMA_DATA**2
    state = x * math.sqrt(total)
    image = state * SPREAD**2 / (SPREAD**2 + sigma**2)
    return (image - state * SIGMA_DATA**2 / total) * math.sqrt(total) / (sigma * SIGMA_DATA)


def test_time_runs_from_0_to_1_with_the_logarithm_of_the_noise() -> None:
    assert time_of(0.002) == pytest.approx(0)
    assert time_of(80.0) == pytest.approx(1)
    assert all(sigma_of(time_of(sigma)) == pytest.approx(sigma) for sigma in (0.01, 0.5, 7.0))


def test_preconditioning_turns_the_true_output_into_the_expected_image() -> None:
    for sigma in (0.01, 0.4, 30.0):
        image = Edm().denoise(true_output, NOISE, sigma)
        assert torch.allclose(image, NOISE * SPREAD**2 / (SPREAD**2 + sigma**2), rtol=1e-9)


@pytest.mark.parametrize(("solver", "order"), [("euler", 1), ("heun", 2)])
def test_the_error_for_gaussian_data_falls_with_the_solvers_order(solver: str, order: int) -> None:
    # dx/dσ = σ x / (s² + σ²) has the solution x(0) = x(σ_max) · s / sqrt(s² + σ_max²).
    truth = NOISE * SIGMA_MAX * SPREAD / math.sqrt(SPREAD**2 + SIGMA_MAX**2)
    coarse, fine = (
        float((Edm().integrate(true_output, NOISE, solver=solver, steps=steps) - truth).norm()) for steps in (60, 120)
    )
    assert math.log2(coarse / fine) == pytest.approx(order, abs=0.25)
    assert fine < 0.05 * float(truth.norm())


def test_the_noise_levels_and_eulers_steps_are_those_of_diffusers() -> None:
    scheduler = EDMEulerScheduler(sigma_min=0.002, sigma_max=80.0, sigma_data=SIGMA_DATA, rho=7.0)
    scheduler.set_timesteps(12)
    np.testing.assert_allclose(scheduler.sigmas[:-1].numpy(), noise_levels(12), rtol=1e-4)
    x = NOISE.float() * scheduler.sigmas[0]
    for t, sigma in zip(scheduler.timesteps, scheduler.sigmas, strict=False):
        output = true_output(scheduler.scale_model_input(x, t), time_of(float(sigma)))
        x = scheduler.step(output, t, x).prev_sample
    ours = Edm().integrate(true_output, NOISE.float(), solver="euler", steps=12)
    torch.testing.assert_close(ours, x, rtol=1e-3, atol=1e-4)


def test_the_levels_of_training_are_log_normal_and_the_true_denoiser_has_the_least_loss() -> None:
    generator = torch.Generator().manual_seed(1)
    images = SPREAD * torch.randn(4000, 1, 2, 2, generator=generator)
    noise, level = torch.randn(images.shape, generator=generator), torch.randn(4000, generator=generator)
    times: list[Tensor] = []

    def predict(x: Tensor, t: Tensor, label: Tensor, factor: float = 1.0) -> Tensor:
        times.append(t)
        return factor * torch.cat([true_output(x[i : i + 1], float(t[i])) for i in range(len(x))])

    def loss(factor: float) -> float:
        return float(Edm().loss(lambda x, t, y: predict(x, t, y, factor), images, torch.zeros(4000), noise, level))

    least = loss(1.0)
    assert least < loss(0.8)
    assert least < loss(1.2)
    logarithms = np.log([sigma_of(float(t)) for t in times[0]])
    assert stats.kstest((logarithms + 1.2) / 1.2, "norm").pvalue > 0.01


@pytest.mark.parametrize("steps", [1, 2, 5])
def test_the_network_is_evaluated_as_often_as_count_evaluations_returns(steps: int) -> None:
    for solver in EdmSettings.solvers:
        asked: list[float] = []

        def evaluate(x: Tensor, time: float, asked: list[float] = asked) -> Tensor:
            asked.append(time)
            return x

        Edm().integrate(evaluate, NOISE, solver=solver, steps=steps)
        assert len(asked) == Edm().count_evaluations(solver, steps)


def test_the_data_say_their_own_spread_whatever_the_order_of_their_pixels() -> None:
    images = torch.randint(0, 256, (50, 3, 4, 4), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    found = Edm().describe(images)
    assert found["sigma_data"] == pytest.approx(float((images.double() / 127.5 - 1).std(correction=0)), abs=1e-4)
    assert found == Edm().describe(images.flip(0, 2))
    assert Edm().describe(torch.full((2, 1, 4, 4), 9, dtype=torch.uint8)) == {"sigma_data": MIN_SIGMA_DATA}
    assert Edm().configure(found).sigma_data == found["sigma_data"]
    assert Edm().configure({}) == Edm()  # a generator of an older version


def test_inputs_and_targets_have_unit_variance_for_data_of_the_configured_spread() -> None:
    generator = torch.Generator().manual_seed(2)
    images = 0.71 * torch.randn(20_000, 1, 1, 2, generator=generator)
    noise, level = torch.randn(images.shape, generator=generator), torch.randn(20_000, generator=generator)
    inputs: list[Tensor] = []

    def predict(x: Tensor, t: Tensor, label: Tensor) -> Tensor:
        inputs.append(x)
        return torch.zeros_like(x)

    loss = Edm(0.71).loss(predict, images, torch.zeros(20_000), noise, level)
    assert float(loss) == pytest.approx(1, abs=0.03)  # the power of the targets
    assert float(inputs[0].var()) == pytest.approx(1, abs=0.03)
