"""The mathematics of kind `instance`: the rectified flow, whose noise is paired with no image.

A pairing makes the noise depend on the image, within what the network is told of it (`kinds.coupling`). Here that is
the image's own features, and nothing is left to pair.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar

from ops.generators.kinds.denoiser import Denoiser
from ops.generators.kinds.flow import Flow
from ops.recipe.denoisers import DenoiserSettings

if TYPE_CHECKING:
    from torch import Tensor


class InstanceFlow(Flow):
    """Prediction of the velocity from noise to another image of the same features."""

    name: ClassVar[str] = "instance"

    def choose_pairing(self, settings: DenoiserSettings) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
        """None."""
        return Denoiser.choose_pairing(self, settings)
