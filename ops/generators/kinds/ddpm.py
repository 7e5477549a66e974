"""Kind `ddpm`: denoising diffusion with 1,000 discrete steps (Ho et al. 2020), sampled by DDIM or DPM-Solver++.

The state at step t is sqrt(ᾱ_t)·x + sqrt(1 - ᾱ_t)·z with the linear β schedule, and the network predicts the
noise z. It is what AdaInf's million images were drawn with.
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
    """The noise that was added, and two ways to take it away in few steps."""

    name: ClassVar[str] = "ddpm"

    def loss(self, predict: Predict, images: Tensor, labels: Tensor, noise: Tensor, level: Tensor) -> Tensor:
        """L_simple (Ho et al. 2020, eq. 14); the normal level becomes uniform through its own distribution function."""
        uniform = ((level / math.sqrt(2)).erf() + 1) / 2
        timestep = (uniform * TIMESTEPS).long().clamp(max=TIMESTEPS - 1)
        signal = images.new_tensor(signal_levels())[timestep][:, None, None, None]
        state = signal.sqrt() * images + (1 - signal).sqrt() * noise
        return (predict(state, timestep.float() / TIMESTEPS, labels).float() - noise).square().mean()

    def integrate(self, evaluate: Evaluate[X], noise: X, *, solver: str, steps: int) -> X:
        """From the last timestep to the image; spaced so that the last timestep, pure noise, comes first."""
        times = [round(TIMESTEPS * (1 - i / steps)) - 1 for i in range(steps)]
        return (step_ddim if solver == "ddim" else step_dpmpp)(evaluate, noise, times)

    def count_evaluations(self, solver: str, steps: int) -> int:
        return steps


@cache
def signal_levels() -> tuple[float, ...]:
    """ᾱ_t for t = 0..999: what is left of the image's variance."""
    levels, product = [], 1.0
    for t in range(TIMESTEPS):
        product *= 1 - (BETA_FIRST + (BETA_LAST - BETA_FIRST) * t / (TIMESTEPS - 1))
        levels.append(product)
    return tuple(levels)


def predict_image(evaluate: Evaluate[X], x: X, t: int) -> X:
    """The expected image at state `x`, from the predicted noise (Song et al. 2021, eq. 9).

    Clamped to what an image can be: at the last timestep an error in the noise weighs 158 times as much in the image.
    """
    signal = signal_levels()[t]
    noise = evaluate(x, t / TIMESTEPS)
    return ((x - noise * math.sqrt(1 - signal)) * (1 / math.sqrt(signal))).clamp(-1.0, 1.0)


def step_ddim(evaluate: Evaluate[X], x: X, times: list[int]) -> X:
    """DDIM without noise (Song et al. 2021, eq. 12, σ = 0)."""
    for now, then in pairwise([*times, None]):
        assert now is not None
        signal, signal_then = signal_levels()[now], 1.0 if then is None else signal_levels()[then]
        image = predict_image(evaluate, x, now)
        noise = (x - image * math.sqrt(signal)) * (1 / math.sqrt(1 - signal))
        x = image * math.sqrt(signal_then) + noise * math.sqrt(1 - signal_then)
    return x


def step_dpmpp(evaluate: Evaluate[X], x: X, times: list[int]) -> X:
    """DPM-Solver++(2M) (Lu et al. 2022, algorithm 2); its first and last step are of first order."""
    before: X | None = None
    width_before = 0.0
    for now, then in pairwise([*times, None]):
        assert now is not None
        image = predict_image(evaluate, x, now)
        if then is None:  # at the end there is no noise left: all the solver's terms but the image vanish
            return image
        signal, signal_then = signal_levels()[now], signal_levels()[then]
        width = log_ratio(signal_then) - log_ratio(signal)
        direction = image
        if before is not None:
            direction = image + (image - before) * (0.5 * width / width_before)
        scale = math.sqrt((1 - signal_then) / (1 - signal))
        x = x * scale + direction * (-math.sqrt(signal_then) * math.expm1(-width))
        before, width_before = image, width
    return x


def log_ratio(signal: float) -> float:
    """λ: half the logarithm of the signal-to-noise ratio."""
    return 0.5 * math.log(signal / (1 - signal))
