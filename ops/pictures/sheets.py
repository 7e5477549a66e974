"""Contact sheets: many small images as one PNG."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from ops.files.storage import replace_file

GAP = 2  # pixels between pictures


def tile(rows: Sequence[np.ndarray], *, background: int = 255) -> np.ndarray:
    """One picture uint8 [h, w, C] of rows of images uint8 [m, H, W, C]; m may differ between rows, or be 0 in all."""
    longest = max(1, *(len(row) for row in rows))
    _, height, width, channels = rows[0].shape
    sheet = np.full((len(rows) * (height + GAP) - GAP, longest * (width + GAP) - GAP, channels), background, np.uint8)
    for y, row in enumerate(rows):
        for x, image in enumerate(row):
            top, left = y * (height + GAP), x * (width + GAP)
            sheet[top : top + height, left : left + width] = image
    return sheet


def rows_by_class(images: np.ndarray, labels: np.ndarray, classes: int, per_class: int) -> list[np.ndarray]:
    """The first `per_class` images of each class, one row per class."""
    return [images[np.flatnonzero(labels == c)[:per_class]] for c in range(classes)]


def encode_sheet(sheet: np.ndarray, *, scale: int = 1) -> bytes:
    """A picture uint8 [h, w, 1 or 3] as PNG bytes, enlarged `scale` times without smoothing."""
    picture = Image.fromarray(sheet[..., 0] if sheet.shape[2] == 1 else sheet)
    if scale > 1:
        picture = picture.resize((picture.width * scale, picture.height * scale), Image.Resampling.NEAREST)
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def write_sheet(path: Path, rows: Sequence[np.ndarray]) -> None:
    """Tile and write one contact sheet; images under 48 pixels high are doubled in size."""
    scale = 2 if rows[0].shape[1] < 48 else 1
    with replace_file(path) as temporary:
        temporary.write_bytes(encode_sheet(tile(rows), scale=scale))


def to_data_uri(png: bytes) -> str:
    """A PNG as a data: URI, for Markdown and HTML without further files."""
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"
