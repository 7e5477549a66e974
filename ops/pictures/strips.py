"""Small pictures for a page: images read from shards by an index, shrunk and tiled into data URIs.

It knows files of pixels and nothing of what the images mean.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from ops.datasets.pixels import read_images
from ops.errors import DamagedData
from ops.pictures.sheets import encode_sheet, tile, to_data_uri

PER_LINE = 8  # pictures per line of a strip
STORED_SIDE = 64  # pixels; larger pictures are shrunk to keep the page small
SHOWN_SIDE = 56  # CSS pixels; small pictures are enlarged to about this by an integer factor


def read_places(folder: Path, places: pl.DataFrame) -> np.ndarray:
    """Images uint8 [n, H, W, C] at the (shard, row) of `places`, in that order; no other rows are decoded."""
    found: dict[int, np.ndarray] = {}
    for (shard,), wanted in places.with_row_index("position").group_by("shard", maintain_order=True):
        images = read_images([folder / str(shard)], wanted["row"].to_list())
        found |= dict(zip(wanted["position"], images, strict=True))
    return np.stack([found[position] for position in range(len(places))]) if found else np.empty((0, 0, 0, 1), np.uint8)


def find_places(ids: pl.Series, located: pl.DataFrame) -> pl.DataFrame:
    """The rows of `located` (by `ops.datasets.index.locate_rows`) with these ids, in order; DamagedData if one is
    missing."""
    found = ids.rename("image_id").to_frame().join(located, on="image_id", how="left", maintain_order="left")
    if missing := found.filter(pl.col("shard").is_null())["image_id"].to_list():
        raise DamagedData(f"the index of accepted images names {missing[0]}, which is not there; filter again")
    return found


def shrink(images: np.ndarray, side: int) -> np.ndarray:
    """Images uint8 [n, H, W, C] averaged down by an integer factor to at most `side` pixels a side, or as given."""
    factor = -(-max(images.shape[1:3]) // side)
    height, width, channels = images.shape[1] // factor, images.shape[2] // factor, images.shape[3]
    blocks = images[:, : height * factor, : width * factor]
    blocks = blocks.reshape(len(images), height, factor, width, factor, channels)
    return blocks.mean((2, 4)).round().astype(np.uint8)


def draw_strip(images: np.ndarray, *, side: int = STORED_SIDE) -> dict[str, Any]:
    """Images uint8 [n, H, W, C] in lines, as a data URI and the size to show it at; gaps are transparent."""
    small = shrink(images, side)
    opaque = np.concatenate([small, np.full_like(small[..., :1], 255)], axis=-1)
    sheet = tile([opaque[start : start + PER_LINE] for start in range(0, len(opaque), PER_LINE)], background=0)
    scale = max(1, round(SHOWN_SIDE / max(small.shape[1:3])))
    return {
        "uri": to_data_uri(encode_sheet(sheet)),
        "width": sheet.shape[1] * scale,
        "height": sheet.shape[0] * scale,
        "count": len(images),
    }
