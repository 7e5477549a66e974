"""Capital letters in many fonts and random colours, unevenly many; and `b` and `d`, which are mirror images."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from benchmarks.sources.drawn import Drawn, Labelled
from benchmarks.sources.glyphs import colour_strokes, draw_varied
from benchmarks.sources.packages import LATIN, find_fonts

CAPITALS = dict(zip("ABCDEFGHIJ", (80, 62, 48, 37, 29, 22, 17, 13, 10, 8), strict=True))  # 326 images
MIRRORED = {"b": 30, "d": 30}


def draw_letters(counts: Mapping[str, int], seed: int, *, side: int = 32) -> Drawn:
    """So many pictures of each letter, RGB; no splits of their own."""
    fonts = find_fonts(LATIN)
    rng = np.random.default_rng([seed, 1])
    images, labels = [], []
    for label, (letter, count) in enumerate(counts.items()):
        for _ in range(count):
            font = fonts[rng.integers(len(fonts))]
            images.append(colour_strokes(draw_varied(letter, font, side, rng), rng))
            labels.append(label)
    return Drawn(tuple(counts), {"train": Labelled(np.stack(images), np.array(labels, np.int64))})
