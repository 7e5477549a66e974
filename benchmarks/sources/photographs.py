"""Patches of scikit-image's photographs and textures: a class is a picture.

Each picture is cut into square blocks, and each block belongs to one split, so that no pixel is in two.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.sources.drawn import Drawn, Labelled
from benchmarks.sources.packages import find_photographs

PICTURES = (
    "astronaut.png", "brick.png", "chelsea.png", "coffee.png", "grass.png", "gravel.png", "hubble_deep_field.jpg",
    "ihc.png", "retina.jpg", "rocket.jpg",
)  # fmt: skip
COUNTS = {"train": 60, "validation": 15, "test": 40}  # of each picture
SHARES = {"train": 0.6, "validation": 0.15, "test": 0.25}  # of each picture's blocks
STRIDE = 4  # pixels between places of patches
LEAST = 6.0  # grey levels of contrast: plain sky is the same everywhere


def draw_patches(counts: Mapping[str, int], side: int, seed: int) -> Drawn:
    """At most so many patches of each picture in each split, uint8 [n, side, side, 3], no two from one place."""
    parts: dict[str, list[np.ndarray]] = {split: [] for split in counts}
    labels: dict[str, list[int]] = {split: [] for split in counts}
    for label, path in enumerate(find_photographs(PICTURES)):
        rng = np.random.default_rng([seed, 4, label])
        picture = np.asarray(Image.open(path).convert("RGB"))
        for split, blocks in share_blocks(picture.shape[0], picture.shape[1], 2 * side, rng).items():
            found = _take_patches(picture, blocks, side, counts[split], rng)
            parts[split] += found
            labels[split] += [label] * len(found)
    names = tuple(Path(name).stem for name in PICTURES)
    return Drawn(
        names, {split: Labelled(np.stack(parts[split]), np.array(labels[split], np.int64)) for split in counts}
    )


def share_blocks(height: int, width: int, block: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Top left corners int [n, 2] of each split's blocks; each split has one or more."""
    corners = np.array(
        [(y, x) for y in range(0, height - block + 1, block) for x in range(0, width - block + 1, block)]
    )
    order = corners[rng.permutation(len(corners))]
    validation, test = (max(1, round(SHARES[split] * len(order))) for split in ("validation", "test"))
    return {
        "train": order[validation + test :],
        "validation": order[:validation],
        "test": order[validation : validation + test],
    }


def _take_patches(
    picture: np.ndarray, blocks: np.ndarray, side: int, count: int, rng: np.random.Generator
) -> list[np.ndarray]:
    offsets = range(0, side + 1, STRIDE)  # a block is two sides wide
    places = [(top + down, left + right) for top, left in blocks.tolist() for down in offsets for right in offsets]
    found: list[np.ndarray] = []
    for row in rng.permutation(len(places)):
        top, left = places[row]
        patch = picture[top : top + side, left : left + side]
        if patch.std() >= LEAST and len(found) < count:
            found.append(patch)
    return found
