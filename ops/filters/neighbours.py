"""Exact nearest neighbours between small images, by blocked matrix products.

Images are compared as thumbnails of at most 16 pixels a side, which forgives noise and one-pixel shifts
and keeps what makes two pictures the same. It knows nothing of thresholds.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

THUMBNAIL_SIDE = 16
BLOCK = 4096


def make_thumbnails(images: Tensor) -> Tensor:
    """uint8 [n, C, H, W] to float32 [n, d] in 0..1, area-averaged to at most 16x16."""
    height, width = (min(side, THUMBNAIL_SIDE) for side in images.shape[2:])
    parts = [F.adaptive_avg_pool2d(part.float() / 255, (height, width)).flatten(1) for part in images.split(BLOCK)]
    return torch.cat(parts) if parts else torch.empty(0, images.shape[1] * height * width)


def find_nearest(queries: Tensor, references: Tensor, *, exclude_self: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Euclidean distance float32 [n] to, and index int64 [n] of, each query's nearest reference.

    `exclude_self` says that both are the same set and row i is not its own neighbour.
    """
    distances, indices = [], []
    norms = references.square().sum(1)
    for start in range(0, len(queries), BLOCK):
        block = queries[start : start + BLOCK]
        squared = block.square().sum(1, keepdim=True) + norms - 2 * block @ references.T
        if exclude_self:
            rows = torch.arange(len(block))
            squared[rows, rows + start] = torch.inf
        index = squared.argmin(1)
        # The expanded square loses digits where it matters most, at distance zero: measure that pair again.
        distances.append((block - references[index]).square().sum(1).sqrt())
        indices.append(index)
    if not distances:
        return np.empty(0, np.float32), np.empty(0, np.int64)
    return torch.cat(distances).numpy(), torch.cat(indices).numpy()


def measure_spacing(thumbnails: Tensor) -> np.ndarray:
    """How far each row lies from its nearest other row, float32 [n], above 0: the unit of relative distances.

    Real duplicates have no spacing of their own: they take the usual one.
    """
    spacing, _ = find_nearest(thumbnails, thumbnails, exclude_self=True)
    spaced = spacing > 1e-6
    return np.where(spaced, spacing, np.median(spacing[spaced]) if spaced.any() else np.float32(1))


def find_repeats(thumbnails: Tensor, limits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each row the nearest *kept* earlier row: distance float32 [n] (inf for none) and its index (-1).

    A row is kept when its distance to every kept earlier row is at least its limit; so of a cluster of
    repeats the first survives and the others point to it.
    """
    count = len(thumbnails)
    nearest, index = np.full(count, np.inf, np.float32), np.full(count, -1, np.int64)
    kept = np.ones(count, bool)
    norms = thumbnails.square().sum(1)
    for start in range(0, count, BLOCK):
        block = thumbnails[start : start + BLOCK]
        end = start + len(block)
        product = block @ thumbnails[:end].T
        squared = (block.square().sum(1, keepdim=True) + norms[:end] - 2 * product).clamp_(min=0).numpy()
        for row in range(start, end):
            earlier = np.where(kept[:row], squared[row - start, :row], np.inf)
            if row and np.isfinite(earlier).any():
                index[row] = int(earlier.argmin())
                nearest[row] = float((thumbnails[row] - thumbnails[index[row]]).square().sum().sqrt())
                kept[row] = nearest[row] >= limits[row]
    return nearest, index
