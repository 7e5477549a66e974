"""Augmentation that does not leak: training images are moved about, and the network is told how.

Small sets are learnt by heart; moved images are more of them. Told what was done, the network draws images to which
nothing was done when it is told so (Karras et al. 2020, §2.2, and 2022, appendix F.2, with their ranges).
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

CONDITIONS = 6  # flip, shift x, shift y, log scale, 1 - cos and sin of the rotation
SCALE_SPREAD, SHIFT_SPREAD = 0.2, 0.125  # standard deviations: of log2 of the size, of the shift as a share of the side


def augment(images: Tensor, share: float, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Flip, shift, scale and rotate, each with probability `share`.

    Parameters
    ----------
    images : float [n, C, H, W] in -1..1.
    generator : on the CPU, so that a run does not depend on the device.

    Returns
    -------
    images : float [n, C, H, W], what leaves the frame is mirrored back.
    conditions : float [n, CONDITIONS], all 0 for an image that nothing was done to, which comes back as it was.
    """
    count, (height, width) = len(images), images.shape[2:]

    def chosen() -> Tensor:
        return (torch.rand(count, generator=generator) < share).float()

    flip = chosen()
    shifted = 2 * SHIFT_SPREAD * chosen()  # coordinates run from -1 to 1: a side is 2
    shift_x, shift_y = (shifted * torch.randn(count, generator=generator) for _ in "xy")
    scale = SCALE_SPREAD * chosen() * torch.randn(count, generator=generator)
    angle = math.pi * chosen() * (2 * torch.rand(count, generator=generator) - 1)
    conditions = torch.stack([flip, shift_x, shift_y, scale, 1 - angle.cos(), angle.sin()], dim=1).to(images)
    moved = conditions.ne(0).any(dim=1)
    if not moved.any():
        return images, conditions
    # From where in the old image a pixel of the new one comes, in coordinates of -1..1: the inverse of what is done.
    zoom, mirror, aspect = 2.0**-scale, 1 - 2 * flip, width / height
    rows = [
        torch.stack([mirror * zoom * angle.cos(), mirror * zoom * angle.sin() / aspect, -mirror * shift_x], dim=1),
        torch.stack([-zoom * angle.sin() * aspect, zoom * angle.cos(), -shift_y], dim=1),
    ]
    theta = torch.stack(rows, dim=1).to(images)[moved]
    grid = F.affine_grid(theta, [len(theta), *images.shape[1:]], align_corners=False)
    result = images.clone()
    result[moved] = F.grid_sample(images[moved], grid, padding_mode="reflection", align_corners=False)
    return result, conditions
