"""Fixed features of images: histograms of gradients, and mean colours on a coarse grid.

The histograms are those of Dalal & Triggs, "Histograms of Oriented Gradients for Human Detection" (CVPR 2005): nine
unsigned orientations, blocks of 2 x 2 cells that overlap, L2-Hys normalisation, and in each pixel the gradient of the
channel where it is largest. Images of any size give about 8 x 8 cells. The module does not know labels, and needs numpy
only.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

ORIENTATIONS = 9
CELLS = 8  # along a side; fewer where a cell would have less than two pixels
CLIPPED = 0.2
COARSE = 4  # the grid of mean colours is 4 x 4
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
    """float64 [n, F] of uint8 [n, H, W, C], H and W at least 4."""
    levels = images.astype(np.float64) / 255
    down, across = np.gradient(levels, axis=(1, 2))
    size = np.hypot(down, across)
    strongest = size.argmax(axis=3)[..., np.newaxis]
    size, down, across = (np.take_along_axis(part, strongest, 3)[..., 0] for part in (size, down, across))
    place = np.arctan2(down, across) % np.pi / np.pi * ORIENTATIONS
    low = np.floor(place).astype(int)
    share = place - low  # what goes to the next orientation's bin
    count, height, width = size.shape
    tall, wide = (max(2, side // CELLS) for side in (height, width))
    rows, columns = height // tall, width // wide
    histograms = np.zeros((count, rows, columns, ORIENTATIONS))
    for orientation in range(ORIENTATIONS):
        weight = (low % ORIENTATIONS == orientation) * (1 - share) + ((low + 1) % ORIENTATIONS == orientation) * share
        cut = (weight * size)[:, : rows * tall, : columns * wide]
        histograms[..., orientation] = cut.reshape(count, rows, tall, columns, wide).sum(axis=(2, 4))
    corners = [histograms[:, y : rows - 1 + y, x : columns - 1 + x] for y in (0, 1) for x in (0, 1)]
    blocks = np.concatenate(corners, axis=3)
    blocks = np.minimum(_normalise(blocks), CLIPPED)
    return _normalise(blocks).reshape(count, -1)


def describe_colours(images: np.ndarray) -> np.ndarray:
    """Mean levels of a 4 x 4 grid, float64 [n, 16 C]."""
    count, height, width, channels = images.shape
    down, across = height // COARSE, width // COARSE
    cut = images[:, : down * COARSE, : across * COARSE].astype(np.float64) / 255
    return cut.reshape(count, COARSE, down, COARSE, across, channels).mean(axis=(2, 4)).reshape(count, -1)


BLOCKS: dict[str, Callable[[np.ndarray], np.ndarray]] = {"gradients": describe_gradients, "colours": describe_colours}
FEATURES = {"gradients": ("gradients",), "gradients and colours": ("gradients", "colours")}


def _normalise(blocks: np.ndarray) -> np.ndarray:
    return np.asarray(blocks / np.sqrt((blocks**2).sum(axis=3, keepdims=True) + 1e-4))
