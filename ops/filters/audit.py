"""The held-out images of the leak audit: classifiers are evaluated on them, so generated images must not repeat them.

Apart from the verdict's evaluation this is the only place where test pixels are read. The audit may reject a generated
image or fail a run; no threshold, model or choice depends on it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ops.datasets.pixels import read_split

SPLITS = ("validation", "test")


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Held-out real images uint8 [n, H, W, C], with the id and the split of each."""

    images: np.ndarray
    ids: list[str]
    splits: list[str]


def read_held_out(real: Path) -> HeldOut:
    """The validation and test images of a folder of real images. Raises as `read_split`."""
    parts = {split: read_split(real, split) for split in SPLITS}
    return HeldOut(
        np.concatenate([part.images for part in parts.values()]),
        [name for part in parts.values() for name in part.rows["image_id"]],
        [split for split, part in parts.items() for _ in range(len(part))],
    )
