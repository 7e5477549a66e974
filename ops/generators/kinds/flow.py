"""Kind `flow`: a class-conditional rectified flow (Liu et al. 2023).

Time runs from noise (t = 0) to data (t = 1): x_t = (1 - t)·z + t·x, and the network predicts the velocity
v = x - z (eq. 1). Paths are nearly straight, so that few steps are enough.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import TYPE_CHECKING, ClassVar

from ops.generators.kinds.denoiser import Denoiser, Evaluate, Predict, X
from ops.recipe.generator import DenoiserSettings, FlowSettings

if TYPE_CHECKING:
    from torch import Tensor


class Flow(Denoiser):
    """The velocity, and two ways to follow it."""

    name: ClassVar[str] = "flow"

    def loss(self, predict: Predict, images: Tensor, labels: Tensor, noise: Tensor, level: Tensor) -> Tensor:
        """Mean squared velocity error at logit-normal times (Esser et al. 2024, §3.1)."""
        t = level.sigmoid()
        x = noise.lerp(images, t[:, None, None, None])
        return (predict(x, t, labels).float() - (images - noise)).square().mean()

    def choose_pairing(self, settings: DenoiserSettings) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
        """Noise that is near to its image, if the settings say so."""
        assert isinstance(settings, FlowSettings)
        if not settings.couple_noise:
            return super().choose_pairing(settings)
        from ops.generators.kinds.coupling import couple_noise

        return couple_noise

    def integrate(
        self, evaluate: Evaluate[X], noise: X, *, solver: str, steps: int, start: float = 0.0, end: float = 1.0
    ) -> X:
        """In equal steps, from noise to image unless told otherwise."""
        x = noise
        for now, then in pairwise(start + (end - start) * step / steps for step in range(steps + 1)):
            velocity = evaluate(x, now)
            if solver == "heun" and then < 1:  # the last step stays Euler's: the velocity at t = 1 is not trained
                ahead = evaluate(x + velocity * (then - now), then)
                x = x + (velocity + ahead) * ((then - now) / 2)
            else:
                x = x + velocity * (then - now)
        return x

    def count_evaluations(self, solver: str, steps: int) -> int:
        return 2 * steps - 1 if solver == "heun" else steps
