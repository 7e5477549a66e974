"""Differentiable augmentation of all that a critic sees, real and made images alike (Zhao et al. 2020, DiffAugment).

A critic of few images learns them by heart. If both sides are changed by the same random operations, and the maker's
gradient passes through them, it sees more of each image, and what is drawn is not changed. The operations are those of
the publication: brightness, contrast and saturation; a shift by whole pixels; a square that is cut out.

Every image's operations follow from numbers that are drawn beforehand, so that a step's changes come from (seed, step),
and parts of a batch can be computed apart.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from ops.recipe.adversarial import Change

NUMBERS = 7  # uniform numbers of an image, for all operations in turn
SHIFT, HOLE = 0.125, 0.5  # of a side: the largest shift, and the side of what is cut out
BRIGHTNESS, CONTRAST, SATURATION = 0.5, (0.5, 1.5), (0.0, 2.0)


def draw_changes(size: Sequence[int], generator: torch.Generator) -> Tensor:
    """Uniform numbers in 0..1, float [*size, NUMBERS]; the generator is on the CPU, so that no device matters."""
    return torch.rand((*size, NUMBERS), generator=generator)


def change(images: Tensor, drawn: Tensor, kinds: Sequence[Change]) -> Tensor:
    """The images as a critic sees them; gradients pass through.

    Parameters
    ----------
    images : float [n, C, H, W] in -1..1; colours may leave this range.
    drawn : from `draw_changes`, [n, NUMBERS].
    kinds : of operations, each applied to every image.
    """
    numbers = drawn.unbind(dim=1)
    if "colour" in kinds:
        images = _colour(images, *numbers[:3])
    if "translation" in kinds:
        images = _translate(images, *numbers[3:5])
    if "cutout" in kinds:
        images = _cut_out(images, *numbers[5:])
    return images


def _colour(images: Tensor, brightness: Tensor, saturation: Tensor, contrast: Tensor) -> Tensor:
    """Brightness is added; saturation and contrast stretch around the mean of a pixel's channels and of the image.

    0.5 is neutral for all three; on images of one channel saturation has no effect.
    """
    added, richer, steeper = (value[:, None, None, None] for value in (brightness, saturation, contrast))
    images = images + 2 * BRIGHTNESS * (added - 0.5)
    if images.shape[1] > 1:
        grey = images.mean(dim=1, keepdim=True)
        images = grey + (images - grey) * _between(SATURATION, richer)
    mean = images.mean(dim=(1, 2, 3), keepdim=True)
    return mean + (images - mean) * _between(CONTRAST, steeper)


def _between(ends: tuple[float, float], number: Tensor) -> Tensor:
    return ends[0] + (ends[1] - ends[0]) * number


def _translate(images: Tensor, down: Tensor, right: Tensor) -> Tensor:
    """Shifted by up to SHIFT of each side, in whole pixels; from outside comes 0, the middle grey."""
    channels, height, width = images.shape[1:]
    most_y, most_x = (int(side * SHIFT + 0.5) for side in (height, width))
    moved_y, moved_x = (((2 * most + 1) * number).long() for most, number in ((most_y, down), (most_x, right)))
    padded = F.pad(images, (most_x, most_x, most_y, most_y))
    rows = (moved_y[:, None] + torch.arange(height, device=images.device))[:, None, :, None]
    columns = (moved_x[:, None] + torch.arange(width, device=images.device))[:, None, None, :]
    taken = padded.gather(2, rows.expand(-1, channels, -1, padded.shape[3]))
    return taken.gather(3, columns.expand(-1, channels, height, -1))


def _cut_out(images: Tensor, down: Tensor, right: Tensor) -> Tensor:
    """A rectangle of HOLE of each side becomes 0; its middle lies anywhere in the image."""
    height, width = images.shape[2:]
    inside = [_is_inside(side, number) for side, number in ((height, down), (width, right))]
    hole = inside[0][:, :, None] & inside[1][:, None, :]
    return images.masked_fill(hole[:, None], 0.0)


def _is_inside(side: int, number: Tensor) -> Tensor:
    """Whether each place of a side lies in the hole, bool [n, side]."""
    length = int(side * HOLE + 0.5)
    first = (number * (side + 1 - length % 2)).long() - length // 2
    places = torch.arange(side, device=number.device)
    return (places >= first[:, None]) & (places < first[:, None] + length)
