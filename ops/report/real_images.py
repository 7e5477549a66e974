"""What the report says of the real images: the facts of `growset inspect`, of training and validation images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ops.datasets.pixels import read_split
from ops.datasets.units import read_groups
from ops.inspection.inspection import inspect_pictures
from ops.inspection.page import collect_view
from ops.inspection.stored import take_pictures

ITEMS, SIDE = 8, 32  # pictures of a kind, and their side in pixels: the page stays small


def collect_real(folder: Path, expansion: str) -> dict[str, Any]:
    """The view of the real images in `folder`, the output of `real_images`."""
    splits = {split: read_split(folder, split) for split in ("train", "validation")}
    pictures, counts = take_pictures(splits, read_groups(folder))
    return collect_view(inspect_pictures(pictures, counts, name=expansion), items=ITEMS, side=SIDE)
