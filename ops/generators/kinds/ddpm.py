"""Kind `ddpm`: denoising diffusion with 1,000 discrete steps (Ho et al. 2020), sampled by DDIM or DPM-Solver++.

The state at step t is x_t = sqrt(ᾱ_t)·x_0 + sqrt(1 - ᾱ_t)·ε with the linear β schedule, and the network predicts the
noise ε. AdaInf drew its million images with this kind. Song et al. (2021) write α_t for ᾱ_t, and Lu et al. (2022) write
α_t for sqrt(ᾱ_t) and σ_t for sqrt(1 - ᾱ_t).
"""

from __future__ import annotations

import math
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING, ClassVar

from ops.generators.kinds.denoiser import Denoiser, Evaluate, Predict, X

if TYPE_CHECKING:
    from torch import Tensor

TIMESTEPS = 1000
BETA_FIRST, BETA_LAST = 1e-4, 0.02


class Ddpm(Denoiser):
    """Prediction of the added noise, and two solvers that remove it in few steps."""

    name: ClassVar[str] = "ddpm"

    def loss(self, predict: Predict, images: Tensor, labels: Tensor, noise: Tensor, level: Tensor) -> Tensor:
        """L_simple (Ho et al. 2020, eq. 14); the normal distribution function turns `level` into uniform timesteps."""
        uniform = ((level / math.sqrt(2)).erf() + 1) / 2
        t = (uniform * TIMESTEPS).long().clamp(max=TIMESTEPS - 1)
        alpha_bar = images.new_tensor(alpha_bars())[t][:, None, None, None]
        x_t = alpha_bar.sqrt() * images + (1 - alpha_bar).sqrt() * noise
        return (predict(x_t, t.float() / TIMESTEPS, labels).float() - noise).square().mean()

    def integrate(self, evaluate: Evaluate[X], noise: X, *, solver: str, steps: int) -> X:
        """From noise to the image in `steps` evenly spaced timesteps, beginning at the last, which is pure noise."""
        times = [round(TIMESTEPS * (1 - i / steps)) - 1 for i in range(steps)]
        return (step_ddim if solver == "ddim" else step_dpmpp)(evaluate, noise, times)

    def count_evaluations(self, solver: str, steps: int) -> int:
        return steps


@cache
def alpha_bars() -> tuple[float, ...]:
    """ᾱ_t for t = 0..999: the image's share of the state's variance."""
    products, alpha_bar = [], 1.0
    for t in range(TIMESTEPS):
        alpha_bar *= 1 - (BETA_FIRST + (BETA_LAST - BETA_FIRST) * t / (TIMESTEPS - 1))
        products.append(alpha_bar)
    return tuple(products)


def predict_image(evaluate: Evaluate[X], x: X, t: int) -> X:
    """The predicted image x_0 at state `x` = x_t, from the predicted noise ε_θ (Song et al. 2021, eq. 9).

    Clamped to -1..1, because at the last timestep an error in ε_θ is 158 times as large in x_0.
    """
    alpha_bar = alpha_bars()[t]
    epsilon = evaluate(x, t / TIMESTEPS)
    return ((x - epsilon * math.sqrt(1 - alpha_bar)) * (1 / math.sqrt(alpha_bar))).clamp(-1.0, 1.0)


def step_ddim(evaluate: Evaluate[X], x: X, times: list[int]) -> X:
    """DDIM without noise (Song et al. 2021, eq. 12, σ = 0)."""
    for t, t_next in pairwise([*times, None]):
        assert t is not None
        alpha_bar, alpha_bar_next = alpha_bars()[t], 1.0 if t_next is None else alpha_bars()[t_next]
        # Predicted x_0, and the noise ε that fits the clamped x_0.
        x_0 = predict_image(evaluate, x, t)
        epsilon = (x - x_0 * math.sqrt(alpha_bar)) * (1 / math.sqrt(1 - alpha_bar))
        # The next state from x_0 and the direction to x_t.
        x = x_0 * math.sqrt(alpha_bar_next) + epsilon * math.sqrt(1 - alpha_bar_next)
    return x


def step_dpmpp(evaluate: Evaluate[X], x: X, times: list[int]) -> X:
    """DPM-Solver++(2M) (Lu et al. 2022, algorithm 2); its first and last step are of first order."""
    x_0_previous: X | None = None
    h_previous = 0.0
    for t, t_next in pairwise([*times, None]):
        assert t is not None
        # Data prediction x_θ(x_t, t).
        x_0 = predict_image(evaluate, x, t)
        if t_next is None:  # σ = 0: all terms of the solver but x_0 vanish
            return x_0
        alpha_bar, alpha_bar_next = alpha_bars()[t], alpha_bars()[t_next]
        # Step size in log-SNR: h = λ_next - λ_t.
        h = find_lambda(alpha_bar_next) - find_lambda(alpha_bar)
        # Second-order extrapolation: D = (1 + 1/(2r))·x_0 - 1/(2r)·x_0_previous with r = h_previous / h.
        d = x_0
        if x_0_previous is not None:
            d = x_0 + (x_0 - x_0_previous) * (0.5 * h / h_previous)
        # Update: x_next = σ_next / σ_t · x_t - α_next·(e^-h - 1)·D.
        sigma_ratio = math.sqrt((1 - alpha_bar_next) / (1 - alpha_bar))
        x = x * sigma_ratio + d * (-math.sqrt(alpha_bar_next) * math.expm1(-h))
        x_0_previous, h_previous = x_0, h
    return x


def find_lambda(alpha_bar: float) -> float:
    """λ = log(α / σ): half the logarithm of the signal-to-noise ratio."""
    return 0.5 * math.log(alpha_bar / (1 - alpha_bar))
