"""Kind `flow`: a class-conditional rectified flow (Liu et al. 2023).

Time runs from noise z (t = 0) to the image x (t = 1): x_t = (1 - t)·z + t·x, and the network predicts the velocity
v = x - z (eq. 1). Paths are nearly straight, so few steps are enough.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from typing import TYPE_CHECKING, ClassVar

from ops.generators.kinds.denoiser import Denoiser, Evaluate, Predict, X
from ops.recipe.denoisers import AnyFlowSettings, DenoiserSettings

if TYPE_CHECKING:
    from torch import Tensor


class Flow(Denoiser):
    """Prediction of the velocity, and two solvers that follow it."""

    name: ClassVar[str] = "flow"

    def loss(self, predict: Predict, images: Tensor, labels: Tensor, noise: Tensor, level: Tensor) -> Tensor:
        """Mean squared velocity error at logit-normal times (Esser et al. 2024, §3.1)."""
        t = level.sigmoid()
        x_t = noise.lerp(images, t[:, None, None, None])
        v = images - noise
        return (predict(x_t, t, labels).float() - v).square().mean()

    def noise_share(self, level: Tensor) -> Tensor:
        """1 - t."""
        return (-level).sigmoid()

    def find_level(self, share: float) -> float:
        return math.log((1 - share) / share)

    def choose_pairing(self, settings: DenoiserSettings) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
        """Noise near to its image (`coupling`) if the settings ask for it."""
        assert isinstance(settings, AnyFlowSettings)
        if not settings.couple_noise:
            return super().choose_pairing(settings)
        from ops.generators.kinds.coupling import couple_noise

        return couple_noise

    def integrate(
        self, evaluate: Evaluate[X], noise: X, *, solver: str, steps: int, start: float = 0.0, end: float = 1.0
    ) -> X:
        """Solve dx/dt = v_θ(x, t) from t = `start` to `end`, at the times of `list_times`."""
        x = noise
        for t, t_next in pairwise(list_times(solver, steps, start, end)):
            v = evaluate(x, t)
            # Heun's step. The last step stays Euler's, because the velocity at t = 1 is not trained.
            if solver == "heun" and t_next < 1:
                v_next = evaluate(x + v * (t_next - t), t_next)
                x = x + (v + v_next) * ((t_next - t) / 2)
            # Euler's step.
            else:
                x = x + v * (t_next - t)
        return x

    def vary(self, evaluate: Evaluate[X], image: X, noise: X, strength: float, *, solver: str, steps: int) -> X:
        """Start at t_0 = 1 - `strength`, from the image that is noised as at that time (Meng et al. 2022, SDEdit)."""
        start = 1 - strength
        x_start = noise * strength + image * start
        return self.integrate(evaluate, x_start, solver=solver, steps=steps, start=start)

    def count_evaluations(self, solver: str, steps: int) -> int:
        return 2 * steps - 1 if solver == "heun" else steps


def list_times(solver: str, steps: int, start: float = 0.0, end: float = 1.0) -> list[float]:
    """The times t_0 = `start`, ..., t_steps = `end`: every evaluation of the network covers an equal share of the time.

    Heun's steps evaluate it twice, but the last one before t = 1 only once. So that step is half as long: three steps
    are 0, 0.4, 0.8, 1. On Fashion-MNIST they gave a Fréchet distance of 1.29, three equal steps one of 1.78.
    """
    last = 1 if solver == "heun" and end == 1 else 2
    shares = 2 * (steps - 1) + last
    return [*(start + (end - start) * 2 * step / shares for step in range(steps)), end]
