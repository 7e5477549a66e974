"""DDPM: the schedule and both solvers against diffusers, the loss against its known value."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler, DDPMScheduler, DPMSolverMultistepScheduler
from scipy import stats
from torch import Tensor

from ops.generators.kinds.ddpm import TIMESTEPS, Ddpm, alpha_bars, find_lambda, space_by_snr, space_evenly, step_dpmpp
from ops.recipe.denoisers import DdpmSettings

SPREAD = 0.2  # so that no predicted image leaves -1..1, where ours are clamped and the exact solution is not
NOISE = torch.randn(5, 1, 2, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def true_noise(x: Tensor, time: float) -> Tensor:
    """The expected noise if the data are N(0, SPREAD²)."""
    signal = alpha_bars()[round(time * TIMESTEPS)]
    return x * math.sqrt(1 - signal) / (signal * SPREAD**2 + 1 - signal)


def test_the_schedule_is_that_of_diffusers() -> None:
    np.testing.assert_allclose(alpha_bars(), DDPMScheduler().alphas_cumprod.numpy(), rtol=1e-4)


@pytest.mark.parametrize("steps", [1, 4, 10, 50])
def test_ddim_takes_the_steps_that_diffusers_takes(steps: int) -> None:
    scheduler = DDIMScheduler(timestep_spacing="trailing", clip_sample=True)
    scheduler.set_timesteps(steps)
    x = NOISE.float()
    for t in scheduler.timesteps:
        # diffusers clips the image but keeps the predicted noise unless it is told otherwise; we keep both consistent.
        output = true_noise(x, int(t) / TIMESTEPS)
        x = scheduler.step(output, t, x, use_clipped_model_output=True).prev_sample
    ours = Ddpm().integrate(true_noise, NOISE.float(), solver="ddim", steps=steps)
    torch.testing.assert_close(ours, x, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("steps", [1, 2, 3, 10, 14])
def test_dpmpp_takes_the_steps_that_diffusers_takes(steps: int) -> None:
    scheduler = DPMSolverMultistepScheduler(
        beta_schedule="linear", solver_order=2, final_sigmas_type="zero", lower_order_final=True
    )
    scheduler.set_timesteps(timesteps=space_by_snr(steps))
    x = NOISE.float()
    for t in scheduler.timesteps:
        x = scheduler.step(true_noise(x, int(t) / TIMESTEPS), t, x).prev_sample
    ours = Ddpm().integrate(true_noise, NOISE.float(), solver="dpmpp", steps=steps)
    torch.testing.assert_close(ours, x, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("steps", [1, 2, 10, 33, 64])
def test_the_steps_of_dpmpp_are_even_in_the_signal_to_noise_ratio(steps: int) -> None:
    times = space_by_snr(steps)
    assert len(times) == steps
    assert times[0] == TIMESTEPS - 1
    assert all(t > t_next for t, t_next in pairwise([*times, -1]))
    lambdas = [find_lambda(alpha_bars()[t]) for t in times]
    if steps == 10:
        np.testing.assert_allclose(np.diff(lambdas), np.mean(np.diff(lambdas)), rtol=0.15)


def test_steps_even_in_the_signal_to_noise_ratio_end_nearer_to_the_image(steps: int = 10) -> None:
    last = alpha_bars()[-1]
    truth = NOISE * SPREAD / math.sqrt(last * SPREAD**2 + 1 - last)
    by_snr, evenly = (
        float((step_dpmpp(true_noise, NOISE, space(steps)) - truth).norm()) for space in (space_by_snr, space_evenly)
    )
    assert by_snr < 0.5 * evenly


def test_dpmpp_is_nearer_to_the_exact_solution_than_ddim_in_the_same_steps() -> None:
    # The probability flow of Gaussian data scales every state by the ratio of its standard deviations.
    last = alpha_bars()[-1]
    truth = NOISE * SPREAD / math.sqrt(last * SPREAD**2 + 1 - last)
    errors = {
        solver: float((Ddpm().integrate(true_noise, NOISE, solver=solver, steps=40) - truth).norm())
        for solver in DdpmSettings.solvers
    }
    assert errors["dpmpp"] < errors["ddim"]
    assert errors["dpmpp"] < 0.1 * float(truth.norm())


def test_timesteps_are_uniform_and_predicting_zero_costs_the_power_of_the_noise() -> None:
    generator = torch.Generator().manual_seed(3)
    images, noise = torch.full((20_000, 1, 1, 2), 0.5), torch.randn(20_000, 1, 1, 2, generator=generator)
    asked: list[Tensor] = []

    def predict(x: Tensor, t: Tensor, label: Tensor) -> Tensor:
        asked.extend((x, t))
        return torch.zeros_like(x)

    level = torch.randn(20_000, generator=generator)
    loss = Ddpm().loss(predict, images, torch.zeros(20_000, dtype=torch.int64), noise, level)
    assert float(loss) == pytest.approx(1.0, abs=0.03)
    x, t = asked
    assert stats.kstest(t.numpy(), "uniform").pvalue > 0.01
    signal = torch.tensor(alpha_bars())[(t * TIMESTEPS).round().long()][:, None, None, None]
    assert torch.allclose(x, signal.sqrt() * images + (1 - signal).sqrt() * noise, atol=1e-4)
