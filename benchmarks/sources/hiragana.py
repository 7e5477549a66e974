"""Hiragana in Gothic, Mincho and handwritten fonts, grey, with the nuisances of strokes and backgrounds.

`python -m benchmarks.sources.hiragana datasets/hiragana.npz` writes the images of the study `turned`.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from benchmarks.sources.drawn import Drawn, Labelled
from benchmarks.sources.glyphs import draw_varied
from benchmarks.sources.packages import JAPANESE, find_fonts
from ops.datasets.nuisances import colour_background, vary_strokes

SIGNS = "あいうえおかきくけこさしすせそたちつてと"
COUNTS = {"train": 50, "validation": 10, "test": 50}  # of each sign


def draw_hiragana(counts: Mapping[str, int], seed: int, *, signs: str = SIGNS, side: int = 32) -> Drawn:
    """So many pictures of each sign in each split, uint8 [n, side, side, 1], light on dark."""
    fonts = find_fonts(JAPANESE)
    splits = {}
    for number, (split, count) in enumerate(counts.items()):
        rng = np.random.default_rng([seed, 2, number])
        labels = np.repeat(np.arange(len(signs)), count)
        strokes = [draw_varied(signs[label], fonts[rng.integers(len(fonts))], side, rng) for label in labels]
        keys = [f"{split}-{row}" for row in range(len(labels))]
        images, _ = vary_strokes(np.stack(strokes)[..., np.newaxis], keys, seed=seed)
        images, _ = colour_background(images, keys, seed=seed)
        splits[split] = Labelled(images, labels.astype(np.int64))
    return Drawn(tuple(signs), splits)


def write_study_images(path: Path) -> None:
    """1,000 pictures of each of the first ten signs, 28 pixels a side, in a random order, as an npz."""
    part = draw_hiragana({"train": 1000}, 11, signs=SIGNS[:10], side=28).splits["train"]
    order = np.random.default_rng(0).permutation(len(part.labels))
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(path, images=part.images[order], labels=part.labels[order])


if __name__ == "__main__":
    write_study_images(Path(sys.argv[1]))
