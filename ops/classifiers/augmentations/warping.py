"""One resampling of a whole batch, each image by a linear map and a move of its own."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def warp(images: Tensor, linear: Tensor, move: tuple[Tensor, Tensor]) -> Tensor:
    """Images float [n, C, H, W] where each output place x shows the input place Ax + b, bilinear, edges repeated.

    linear: A, float [n, 2, 2], from places (x, y) in pixels from the image's centre. move: b, float [n] and [n], in
    pixels to the right and down.
    """
    (height, width), theta = images.shape[2:], torch.empty(len(images), 2, 3)
    # affine_grid has -1..1 along each side, so sides' lengths enter off the diagonal.
    theta[:, 0, 0], theta[:, 0, 1] = linear[:, 0, 0], linear[:, 0, 1] * height / width
    theta[:, 1, 0], theta[:, 1, 1] = linear[:, 1, 0] * width / height, linear[:, 1, 1]
    theta[:, 0, 2], theta[:, 1, 2] = 2 * move[0] / width, 2 * move[1] / height
    grid = F.affine_grid(theta.to(images.device), list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, padding_mode="border", align_corners=False)
