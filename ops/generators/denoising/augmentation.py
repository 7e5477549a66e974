"""Non-leaking augmentation: training images are transformed, and the network is conditioned on the transformation.

Augmentation effectively enlarges the set, which delays memorisation. At conditions of 0 the network draws images that
are not augmented (Karras et al. 2020, §2.2, and 2022, appendix F.2, with their ranges).
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

CONDITIONS = 6  # flip, shift x, shift y, log scale, 1 - cos and sin of the rotation
SCALE_STD, SHIFT_STD = 0.2, 0.125  # standard deviations: of log2 of the size, and of the shift as a share of the side


def augment(images: Tensor, share: float, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Flip, shift, scale and rotate, each with probability `share`.

    Parameters
    ----------
    images : float [n, C, H, W] in -1..1.
    generator : a generator on the CPU, so that the draws do not depend on the device.

    Returns
    -------
    images : float [n, C, H, W], with pixels from outside the frame filled by reflection.
    conditions : float [n, CONDITIONS], all 0 for an image that is returned unchanged.
    """
    count, (height, width) = len(images), images.shape[2:]

    def chosen() -> Tensor:
        return (torch.rand(count, generator=generator) < share).float()

    flip = chosen()
    shifted = 2 * SHIFT_STD * chosen()  # coordinates run from -1 to 1: a side is 2
    shift_x, shift_y = (shifted * torch.randn(count, generator=generator) for _ in "xy")
    scale = SCALE_STD * chosen() * torch.randn(count, generator=generator)
    angle = math.pi * chosen() * (2 * torch.rand(count, generator=generator) - 1)
    conditions = torch.stack([flip, shift_x, shift_y, scale, 1 - angle.cos(), angle.sin()], dim=1).to(images)
    moved = conditions.ne(0).any(dim=1)
    if not moved.any():
        return images, conditions
    # Where each new pixel lies in the old image, in coordinates of -1..1: the inverse transformation.
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
