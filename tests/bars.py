"""Classes that one kind of feature tells apart: bars by their gradients, plain pictures by their colours."""

from __future__ import annotations

import numpy as np

Labelled = tuple[np.ndarray, np.ndarray]  # images uint8 [n, H, W, C] and labels int [n]


def draw_bars(count: int, seed: int, *, side: int = 16, classes: int = 2) -> Labelled:
    """Class 0 has upright bars, the others level ones, in colours that tell nothing; uint8 [n, side, side, 3]."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % classes
    images = np.empty((count, side, side, 3), np.uint8)
    for row, label in enumerate(labels):
        wave = np.sin(np.arange(side) * 1.2 + rng.uniform(0, 6))[np.newaxis, :]
        picture = np.broadcast_to(wave, (side, side)) if label == 0 else np.broadcast_to(wave.T, (side, side))
        images[row] = (128 + 60 * picture[..., np.newaxis] * rng.uniform(0.5, 1, 3)).astype(np.uint8)
    return images, labels


def draw_colours(count: int, seed: int) -> Labelled:
    """Three classes of one colour each, with a little noise."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 3
    colours = np.array([[200, 40, 40], [40, 200, 40], [40, 40, 200]])[labels]
    images = colours[:, None, None] + rng.integers(-9, 10, (count, 16, 16, 3))
    return images.astype(np.uint8), labels
