"""Fixed features of images: histograms of gradients, and mean colours on a coarse grid.

The histograms are those of Dalal & Triggs, "Histograms of Oriented Gradients for Human Detection" (CVPR 2005): nine
unsigned orientations, blocks of 2 x 2 cells that overlap, L2-Hys normalisation, and in each pixel the gradient of the
channel where it is largest. Images of any size give about 8 x 8 cells, and 4 x 4 larger ones, which say the same more
robustly. The module does not know labels, and needs numpy only.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

ORIENTATIONS = 9
CELLS = (8, 4)  # along a side, of the two grids; fewer where a cell would have less than two pixels
CLIPPED, FLOOR = 0.2, 1e-5  # of L2-Hys; the floor keeps an even block from being blown up
COARSE = 8  # the grid of mean colours is 8 x 8
PIXELS_AT_ONCE = 1 << 20  # a large set is described in parts, so that its gradients need little memory
LEAST_SIDE = 4  # smaller images are continued by their edges


def describe(name: str, images: np.ndarray) -> np.ndarray:
    """The features `name` of FEATURES, float32 [n, F], of images uint8 [n, H, W, C]."""
    return np.concatenate([describe_block(block, images) for block in FEATURES[name]], axis=1)


def describe_block(name: str, images: np.ndarray) -> np.ndarray:
    """The features `name` of BLOCKS, float32 [n, F], of images uint8 [n, H, W, C]."""
    if (lacking := [max(0, LEAST_SIDE - side) for side in images.shape[1:3]]) != [0, 0]:
        images = np.pad(images, ((0, 0), (0, lacking[0]), (0, lacking[1]), (0, 0)), mode="edge")
    part = max(1, PIXELS_AT_ONCE // (images.shape[1] * images.shape[2]))
    parts = (images[start : start + part] for start in range(0, len(images), part))
    return np.concatenate([BLOCKS[name](some).astype(np.float32) for some in parts])


def describe_gradients(images: np.ndarray) -> np.ndarray:
    """Histograms on all grids, float64 [n, F] of uint8 [n, H, W, C], H and W at least 4."""
    levels = images.astype(np.float64) / 255
    down, across = np.gradient(levels, axis=(1, 2))
    size = np.hypot(down, across)
    strongest = size.argmax(axis=3)[..., np.newaxis]
    size, down, across = (np.take_along_axis(part, strongest, 3)[..., 0] for part in (size, down, across))
    place = np.arctan2(down, across) % np.pi / np.pi * ORIENTATIONS
    low = np.floor(place).astype(int)
    share = place - low  # what goes to the next orientation's bin
    votes = np.zeros((*size.shape, ORIENTATIONS))
    for orientation in range(ORIENTATIONS):
        weight = (low % ORIENTATIONS == orientation) * (1 - share) + ((low + 1) % ORIENTATIONS == orientation) * share
        votes[..., orientation] = weight * size
    steps = dict.fromkeys(tuple(max(2, side // cells) for side in size.shape[1:]) for cells in CELLS)
    return np.concatenate([_normalise_blocks(_pool(votes, *step)) for step in steps], axis=1)


def describe_colours(images: np.ndarray) -> np.ndarray:
    """Mean levels on a grid of about 8 x 8, float64 [n, F] of uint8 [n, H, W, C]."""
    steps = (max(1, side // COARSE) for side in images.shape[1:3])
    found = _pool(images.astype(np.float64) / 255, *steps)
    return found.reshape(len(images), -1)


def _pool(values: np.ndarray, tall: int, wide: int) -> np.ndarray:
    """Means over cells of tall x wide pixels, [n, rows, columns, C] of [n, H, W, C]; what is left over is cut off."""
    count, height, width, channels = values.shape
    rows, columns = height // tall, width // wide
    cut = values[:, : rows * tall, : columns * wide]
    return np.asarray(cut.reshape(count, rows, tall, columns, wide, channels).mean(axis=(2, 4)))


def _normalise_blocks(histograms: np.ndarray) -> np.ndarray:
    """L2-Hys over blocks of 2 x 2 cells, [n, F] of [n, rows, columns, bins]."""
    rows, columns = histograms.shape[1:3]
    corners = [histograms[:, y : rows - 1 + y, x : columns - 1 + x] for y in (0, 1) for x in (0, 1)]
    blocks = np.minimum(_normalise(np.concatenate(corners, axis=3)), CLIPPED)
    return _normalise(blocks).reshape(len(histograms), -1)


def _normalise(blocks: np.ndarray) -> np.ndarray:
    return np.asarray(blocks / np.sqrt((blocks**2).sum(axis=3, keepdims=True) + FLOOR))


BLOCKS: dict[str, Callable[[np.ndarray], np.ndarray]] = {"gradients": describe_gradients, "colours": describe_colours}
FEATURES = {
    "gradient histograms": ("gradients",),
    "gradient histograms and colours": ("gradients", "colours"),
}
