"""Between the size and channels of a dataset and the square colour images of a pipeline.

A seed image is enlarged to the pipeline's side, and what the pipeline draws is reduced to the dataset's. Both ways are
differentiable. Grey images become colour ones with equal channels, and drawn colours become grey by their luminance.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ops.errors import UserError
from ops.generators.diffusion.folder import KEY, PipelineFolder

LUMINANCE = (0.299, 0.587, 0.114)  # ITU-R BT.601, as Pillow does


def find_side(folder: PipelineFolder, size: int | None, shape: tuple[int, int, int]) -> int:
    """The side in pixels at which the pipeline draws for images (C, H, W).

    UserError for a side that it cannot draw, and for images that are not square or larger than this side.
    """
    channels, height, width = shape
    side = folder.side if size is None else size
    step = folder.factor * 2 ** (len(folder.configs["unet"].get("block_out_channels", [0])) - 1)
    if side % step:
        raise UserError(
            f"{KEY}.size {side} is not possible with the pipeline in {folder.path}; allowed: multiples of {step}"
        )
    if height != width:
        raise UserError(
            f"images of {height} x {width} pixels are not square, and kind: {folder.kind} draws squares; give the"
            " source a size"
        )
    if height > side:
        raise UserError(
            f"images of {height} x {width} pixels are larger than the {side} at which the pipeline in {folder.path}"
            f" draws; set {KEY}.size, or give the source a smaller size"
        )
    if channels not in (1, 3):
        raise UserError(f"images of {channels} channels are not possible with kind: {folder.kind}; allowed: 1 and 3")
    return side


def enlarge(images: Tensor, side: int) -> Tensor:
    """Colour images [n, 3, side, side] in 0..1 of images [n, C, H, W] in 0..1, C of 1 or 3."""
    return _resize(images, side, side).expand(-1, 3, -1, -1)


def reduce(images: Tensor, shape: tuple[int, int, int]) -> Tensor:
    """Images [n, C, H, W] in 0..1 of the shape (C, H, W), from colour images [n, 3, side, side] in 0..1."""
    channels, height, width = shape
    small = _resize(images, height, width)
    if channels == 3:
        return small
    weights = torch.tensor(LUMINANCE, dtype=small.dtype, device=small.device).view(1, 3, 1, 1)
    return (small * weights).sum(dim=1, keepdim=True)


def _resize(images: Tensor, height: int, width: int) -> Tensor:
    """Bicubic, with anti-aliasing, clamped to 0..1."""
    if tuple(images.shape[2:]) == (height, width):
        return images
    return F.interpolate(images, (height, width), mode="bicubic", align_corners=False, antialias=True).clamp(0, 1)
