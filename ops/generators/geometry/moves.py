"""Moves of images within their frame: turned, scaled, shifted and mirrored, each as far as its noise says.

The first five numbers of an image's noise decide; the module knows nothing of how wide the moves should be.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

NUMBERS = 5  # of the noise: of angle, size, shift to the right and down, and mirroring


@dataclass(frozen=True)
class Ranges:
    """The widest moves; 0 and False: none.

    rotation : degrees to either side. scale : 0.3 scales by factors from 1 / 1.3 to 1.3, evenly in their logarithm.
    shift : share of the width and of the height, to either side. mirror : left and right change places in half of the
    images.
    """

    rotation: float = 0.0
    scale: float = 0.0
    shift: float = 0.0
    mirror: bool = False


class Moves(nn.Module):
    """Moves images of `shape` (channels, height, width) at random within `ranges`; its input is the noise."""

    places: Tensor  # [3, H·W]: x and y in pixels from the centre, and 1

    def __init__(self, shape: tuple[int, int, int], ranges: Ranges) -> None:
        super().__init__()
        _, self.height, self.width = shape
        self.ranges = ranges
        y, x = torch.meshgrid(_count_from_centre(self.height), _count_from_centre(self.width), indexing="ij")
        self.register_buffer("places", torch.stack([x.flatten(), y.flatten(), torch.ones(x.numel())]))

    def forward(self, image: Tensor, noise: Tensor) -> Tensor:
        """Images uint8 [n, H, W, C], moved by their noise, standard normal [n, C, H, W].

        Pixels from outside the frame repeat its edge.
        """
        levels = image.permute(0, 3, 1, 2).float()
        # Each place p of the result shows the place q = A (p, 1) of the image, between four pixels.
        q = self._find_matrix(noise.flatten(1)[:, :NUMBERS]) @ self.places
        grid = q.transpose(1, 2).unflatten(1, (self.height, self.width))
        moved = F.grid_sample(levels, grid, mode="bilinear", padding_mode="border", align_corners=False)
        return moved.round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1)

    def _find_matrix(self, z: Tensor) -> Tensor:
        """A [n, 2, 3], of the numbers `z` [n, 5]; q is in coordinates that run from -1 to 1."""
        ranges = self.ranges
        u = (z / math.sqrt(2)).erf()  # uniform in -1..1
        angle = u[:, 0] * math.radians(ranges.rotation)
        zoom = (u[:, 1] * -math.log1p(ranges.scale)).exp()
        right, down = u[:, 2] * (ranges.shift * self.width), u[:, 3] * (ranges.shift * self.height)
        side = 1 - 2 * (z[:, 4] < 0).float() if ranges.mirror else torch.ones_like(angle)
        # q = mirror · rotation · (p - shift) / size, then pixels become parts of the half sides.
        cos, sin = angle.cos() * zoom, angle.sin() * zoom
        rows = (
            (side * cos, side * sin, 2 / self.width),
            (-sin, cos, 2 / self.height),
        )
        scaled = [torch.stack([a, b, -(a * right + b * down)], dim=1) * unit for a, b, unit in rows]
        return torch.stack(scaled, dim=1)


def _count_from_centre(side: int) -> Tensor:
    return torch.arange(side, dtype=torch.float32) - (side - 1) / 2
