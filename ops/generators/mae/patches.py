"""Images cut into patches, and put together again; the mean and the deviation of a patch.

The order of the numbers is that of transformers' `ViTMAEForPreTraining`: patches row by row, and in each of them pixels
row by row, with their channels last. The mean and the variance of a patch are of all its numbers together.
"""

from __future__ import annotations

from torch import Tensor

TINY = 1e-6  # added to a variance, as published


def cut(images: Tensor, patch: int) -> Tensor:
    """Patches [n, L, patch² · C] of images [n, C, H, W], whose sides are multiples of the patch."""
    count, channels, height, width = images.shape
    tiles = images.reshape(count, channels, height // patch, patch, width // patch, patch)
    return tiles.permute(0, 2, 4, 3, 5, 1).reshape(count, -1, patch**2 * channels)


def join(patches: Tensor, patch: int, grid: tuple[int, int]) -> Tensor:
    """Images [n, C, H, W] of their patches, in so many rows and columns: undoes `cut`."""
    rows, columns = grid
    tiles = patches.reshape(patches.shape[0], rows, columns, patch, patch, patches.shape[2] // patch**2)
    return tiles.permute(0, 5, 1, 3, 2, 4).reshape(patches.shape[0], -1, rows * patch, columns * patch)


def measure(patches: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and deviation of each patch, [n, L, 1] each."""
    return patches.mean(dim=2, keepdim=True), (patches.var(dim=2, keepdim=True) + TINY).sqrt()
