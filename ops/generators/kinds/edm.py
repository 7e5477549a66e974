"""Kind `edm`: the preconditioning, noise levels and Heun sampler of Karras et al. (2022).

The state is x = y + n with the image y and noise n of standard deviation σ. The network F gets c_in·x and c_noise, and
the denoised image is D(x; σ) = c_skip·x + c_out·F (eq. 7). So inputs and targets of F have unit variance at every σ.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING, ClassVar

from ops.generators.kinds.denoiser import Denoiser, Evaluate, Predict, X

if TYPE_CHECKING:
    from torch import Tensor

SIGMA_MIN, SIGMA_MAX, RHO = 0.002, 80.0, 7  # table 1
SIGMA_DATA = 0.5  # standard deviation of images in -1..1
P_MEAN, P_STD = -1.2, 1.2  # mean and standard deviation of ln σ in training, table 1
LOG_MIN, LOG_SPAN = math.log(SIGMA_MIN), math.log(SIGMA_MAX / SIGMA_MIN)


class Edm(Denoiser):
    """Denoising at any σ, and two solvers of the probability-flow equation."""

    name: ClassVar[str] = "edm"

    def loss(self, predict: Predict, images: Tensor, labels: Tensor, noise: Tensor, level: Tensor) -> Tensor:
        """Squared error of F (eq. 8): the weight λ(σ) = 1 / c_out² makes every noise level count alike."""
        # ln σ ~ N(P_mean, P_std²).
        ln_sigma = level * P_STD + P_MEAN
        sigma = ln_sigma.exp()[:, None, None, None]
        x = images + sigma * noise
        # The target of F: (y - c_skip·x) / c_out, with c_out = σ·σ_data / sqrt(variance).
        variance = sigma.square() + SIGMA_DATA**2
        c_skip = SIGMA_DATA**2 / variance
        target = (images - x * c_skip) * variance.sqrt() / (sigma * SIGMA_DATA)
        # F at c_in·x, with c_in = 1 / sqrt(variance).
        output = predict(x / variance.sqrt(), (ln_sigma - LOG_MIN) / LOG_SPAN, labels)
        return (output.float() - target).square().mean()

    def integrate(self, evaluate: Evaluate[X], noise: X, *, solver: str, steps: int) -> X:
        """Algorithm 1, with σ(t) = t: Heun's correction at every step but the last, which goes to t = 0."""
        sigmas = noise_levels(steps)
        x_next = noise * sigmas[0]
        for t_cur, t_next in pairwise([*sigmas, 0.0]):
            x_cur = x_next
            # Euler step along dx/dt at t_cur.
            d_cur = (x_cur - denoise(evaluate, x_cur, t_cur)) * (1 / t_cur)
            x_next = x_cur + d_cur * (t_next - t_cur)
            # Second-order correction with dx/dt at t_next.
            if solver == "heun" and t_next > 0:
                d_prime = (x_next - denoise(evaluate, x_next, t_next)) * (1 / t_next)
                x_next = x_cur + (d_cur + d_prime) * 0.5 * (t_next - t_cur)
        return x_next

    def count_evaluations(self, solver: str, steps: int) -> int:
        return 2 * steps - 1 if solver == "heun" else steps


def noise_levels(steps: int) -> list[float]:
    """`steps` values from σ_max down to σ_min, evenly spaced in σ^(1/ρ) (eq. 5)."""
    high, low = SIGMA_MAX ** (1 / RHO), SIGMA_MIN ** (1 / RHO)
    return [(high + i / max(1, steps - 1) * (low - high)) ** RHO for i in range(steps)]


def denoise(evaluate: Evaluate[X], x: X, sigma: float) -> X:
    """D(x; σ): the expected image at state `x` (eq. 7)."""
    variance = sigma**2 + SIGMA_DATA**2
    c_in, c_skip, c_out = 1 / math.sqrt(variance), SIGMA_DATA**2 / variance, sigma * SIGMA_DATA / math.sqrt(variance)
    output = evaluate(x * c_in, time_of(sigma))
    return x * c_skip + output * c_out


def time_of(sigma: float) -> float:
    """The network's time: ln σ scaled to 0..1 (c_noise of table 1, up to scale)."""
    return (math.log(sigma) - LOG_MIN) / LOG_SPAN
