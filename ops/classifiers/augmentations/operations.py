"""The fourteen operations of RandAugment, each image with an amount of its own.

Cubuk, Zoph, Shlens and Le, "RandAugment: Practical automated data augmentation with a reduced search space" (2020).
The ranges are those of torchvision's `RandAugment`, where level = m / 30 and the sign of the amount is drawn:

| operation | at level 1 |
|---|---|
| shear_x, shear_y | 0.3 of the distance from the centre |
| translate_x, translate_y | 150 / 331 of the side |
| rotate | 30 degrees |
| brightness, colour, contrast, sharpness | a factor of 1 ± 0.9, as Pillow's ImageEnhance has it |
| posterize | 4 of 8 bits are left |
| solarize | all levels are inverted; those above 1 - level at lower levels |
| identity, auto_contrast, equalize | no amount |

So all but the last two do less at a lower level, and nothing at 0. Two things differ: places outside the image repeat
its edge instead of being black, and shears keep the centre in its place instead of the corner.

Images are float [n, C, H, W] in 0..1, of one channel or of three; amounts float [n, 1, 1, 1] in -1..1.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from ops.classifiers.augmentations.colours import brighten, change_contrast, saturate
from ops.classifiers.augmentations.warping import warp

Operation = Callable[[Tensor, Tensor], Tensor]

SHEAR, TRANSLATION, ROTATION, FACTOR = 0.3, 150 / 331, math.radians(30), 0.9
BITS = 4  # that posterize takes away at level 1


def operate(images: Tensor, chosen: Tensor, amounts: Tensor) -> Tensor:
    """Each image after one operation: `chosen` int [n] numbers OPERATIONS, `amounts` float [n] in -1..1."""
    found = images.clone()
    for number, change in enumerate(OPERATIONS.values()):
        rows = (chosen == number).nonzero()[:, 0]
        if len(rows):
            amount = amounts[rows].to(images.device)[:, None, None, None]
            found[rows] = change(images[rows], amount).clamp(0, 1)
    return found


def keep(images: Tensor, amount: Tensor) -> Tensor:
    """The images themselves."""
    return images


def auto_contrast(images: Tensor, amount: Tensor) -> Tensor:
    """Each channel's lowest level becomes 0 and its highest 1; a channel of one level stays."""
    low, high = images.amin(dim=(2, 3), keepdim=True), images.amax(dim=(2, 3), keepdim=True)
    spread = torch.where(high > low, high - low, 1.0)
    return torch.where(high > low, (images - low) / spread, images)


def equalize(images: Tensor, amount: Tensor) -> Tensor:
    """Each channel's histogram of 256 levels is made flat, as Pillow's ImageOps.equalize does."""
    levels = (images * 255).round().long().flatten(0, 1).flatten(1)  # [nC, HW]
    counts = torch.zeros(len(levels), 256, dtype=torch.long, device=images.device)
    counts.scatter_add_(1, levels, torch.ones_like(levels))
    step = (levels.shape[1] - counts.gather(1, levels.amax(dim=1, keepdim=True))) // 255
    below = counts.cumsum(dim=1) - counts
    table = ((below + step // 2) // step.clamp(min=1)).clamp(0, 255)
    changed = torch.where(step > 0, table.gather(1, levels), levels)
    return changed.view(images.shape).to(images.dtype) / 255


def posterize(images: Tensor, amount: Tensor) -> Tensor:
    """The highest 8 to 4 bits of each level are left."""
    unit = 2 ** (BITS * amount.abs()).round()
    return torch.where(unit > 1, ((images * 255).round() / unit).floor() * unit / 255, images)


def solarize(images: Tensor, amount: Tensor) -> Tensor:
    """Levels above 1 - |amount| are inverted."""
    return torch.where(images > 1 - amount.abs(), 1 - images, images)


def sharpen(images: Tensor, amount: Tensor) -> Tensor:
    """Away from Pillow's smoothed image or towards it; the outermost pixels stay."""
    if min(images.shape[2:]) < 3:
        return images
    channels = images.shape[1]
    kernel = images.new_tensor([[1.0, 1.0, 1.0], [1.0, 5.0, 1.0], [1.0, 1.0, 1.0]]) / 13
    smooth = images.clone()
    smooth[:, :, 1:-1, 1:-1] = F.conv2d(images, kernel.expand(channels, 1, 3, 3), groups=channels)
    return smooth + (images - smooth) * (1 + FACTOR * amount)


def shear_x(images: Tensor, amount: Tensor) -> Tensor:
    """Rows are moved sideways, in proportion to their distance from the centre."""
    return _warp(images, (1.0, SHEAR * amount), (0.0, 1.0))


def shear_y(images: Tensor, amount: Tensor) -> Tensor:
    """Columns are moved up and down, in proportion to their distance from the centre."""
    return _warp(images, (1.0, 0.0), (SHEAR * amount, 1.0))


def translate_x(images: Tensor, amount: Tensor) -> Tensor:
    """Images are moved sideways."""
    return _warp(images, (1.0, 0.0), (0.0, 1.0), x=TRANSLATION * images.shape[3] * amount)


def translate_y(images: Tensor, amount: Tensor) -> Tensor:
    """Images are moved up and down."""
    return _warp(images, (1.0, 0.0), (0.0, 1.0), y=TRANSLATION * images.shape[2] * amount)


def rotate(images: Tensor, amount: Tensor) -> Tensor:
    """Images are turned about their centre."""
    cos, sin = torch.cos(ROTATION * amount), torch.sin(ROTATION * amount)
    return _warp(images, (cos, -sin), (sin, cos))


def _warp(
    images: Tensor,
    first: tuple[Tensor | float, Tensor | float],
    second: tuple[Tensor | float, Tensor | float],
    x: Tensor | float = 0.0,
    y: Tensor | float = 0.0,
) -> Tensor:
    """`warp` by the rows of A and by b, of which each is a number or one for each image."""
    found = torch.empty(6, len(images))
    for place, value in enumerate((*first, *second, x, y)):
        found[place] = value.flatten() if isinstance(value, Tensor) else value
    return warp(images, found[:4].T.reshape(-1, 2, 2), (found[4], found[5]))


OPERATIONS: dict[str, Operation] = {
    "identity": keep,
    "auto_contrast": auto_contrast,
    "equalize": equalize,
    "rotate": rotate,
    "solarize": solarize,
    "colour": lambda images, amount: saturate(images, FACTOR * amount),
    "posterize": posterize,
    "contrast": lambda images, amount: change_contrast(images, FACTOR * amount),
    "brightness": lambda images, amount: brighten(images, FACTOR * amount),
    "sharpness": sharpen,
    "shear_x": shear_x,
    "shear_y": shear_y,
    "translate_x": translate_x,
    "translate_y": translate_y,
}
