"""Kind `edm`: the preconditioning, noise levels and Heun sampler of Karras et al. (2022).

The state is x + σ·z. The network F sees c_in·(state) and the noise level, and the denoised image is
c_skip·(state) + c_out·F (eq. 7), which keeps the scale of what it sees and predicts the same at every σ.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING, ClassVar

from ops.generators.kinds.denoiser import Denoiser, Evaluate, Predict, X

if TYPE_CHECKING:
    from torch import Tensor

SIGMA_MIN, SIGMA_MAX, RHO = 0.002, 80.0, 7  # table 1
SIGMA_DATA = 0.5  # of images in -1..1
LEVEL_MEAN, LEVEL_STD = -1.2, 1.2  # of log σ in training, table 1
LOG_MIN, LOG_SPAN = math.log(SIGMA_MIN), math.log(SIGMA_MAX / SIGMA_MIN)


class Edm(Denoiser):
    """Denoising at any σ, and two ways along the probability-flow equation."""

    name: ClassVar[str] = "edm"

    def loss(self, predict: Predict, images: Tensor, labels: Tensor, noise: Tensor, level: Tensor) -> Tensor:
        """Squared error of F (eq. 8): the weight λ(σ) = 1/c_out² makes every level count alike."""
        logarithm = level * LEVEL_STD + LEVEL_MEAN
        sigma = logarithm.exp()[:, None, None, None]
        state = images + sigma * noise
        total = sigma.square() + SIGMA_DATA**2
        target = (images - state * (SIGMA_DATA**2 / total)) * total.sqrt() / (sigma * SIGMA_DATA)
        return (
            (predict(state / total.sqrt(), (logarithm - LOG_MIN) / LOG_SPAN, labels).float() - target).square().mean()
        )

    def integrate(self, evaluate: Evaluate[X], noise: X, *, solver: str, steps: int) -> X:
        """Algorithm 1 without churn: Heun's correction at every step but the last, which goes to σ = 0."""
        sigmas = noise_levels(steps)
        x = noise * sigmas[0]
        for now, then in pairwise([*sigmas, 0.0]):
            slope = (x - denoise(evaluate, x, now)) * (1 / now)
            if solver == "heun" and then > 0:
                ahead = x + slope * (then - now)
                slope = (slope + (ahead - denoise(evaluate, ahead, then)) * (1 / then)) * 0.5
            x = x + slope * (then - now)
        return x

    def count_evaluations(self, solver: str, steps: int) -> int:
        return 2 * steps - 1 if solver == "heun" else steps


def noise_levels(steps: int) -> list[float]:
    """σ_max down to σ_min in `steps` values, evenly spaced in σ^(1/ρ) (eq. 5)."""
    high, low = SIGMA_MAX ** (1 / RHO), SIGMA_MIN ** (1 / RHO)
    return [(high + i / max(1, steps - 1) * (low - high)) ** RHO for i in range(steps)]


def denoise(evaluate: Evaluate[X], x: X, sigma: float) -> X:
    """The expected image at state `x` (eq. 7)."""
    total = sigma**2 + SIGMA_DATA**2
    output = evaluate(x * (1 / math.sqrt(total)), time_of(sigma))
    return x * (SIGMA_DATA**2 / total) + output * (sigma * SIGMA_DATA / math.sqrt(total))


def time_of(sigma: float) -> float:
    """What the network is told: log σ, brought to 0..1 (c_noise of table 1, up to scale)."""
    return (math.log(sigma) - LOG_MIN) / LOG_SPAN
