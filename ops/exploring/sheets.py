"""Thumbnails: consecutive images tiled into sheets, which the page loads one by one as it shows their images.

Row r lies on sheet r // images, there at place r % images, line by line. Small images are kept pixel by pixel, as PNG;
larger ones are averaged down to at most SIDE pixels a side and stored as JPEG. Memory holds one batch and one sheet.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from ops.pictures.strips import shrink

SIDE = 64  # pixels of a thumbnail
SHEET_SIDE = 512  # pixels of a sheet, about
QUALITY = 90  # of a JPEG


@dataclass(frozen=True)
class Layout:
    """Pixels of a thumbnail, how many lie beside and below each other on a sheet, and the format of the files.

    shrunk: whether thumbnails have fewer pixels than the images, which are `image_width` x `image_height`.
    """

    width: int
    height: int
    across: int
    down: int
    image_width: int
    image_height: int

    @property
    def images(self) -> int:
        return self.across * self.down

    @property
    def shrunk(self) -> bool:
        return self.width < self.image_width

    @property
    def extension(self) -> str:
        return "jpg" if self.shrunk else "png"


def plan_layout(height: int, width: int) -> Layout:
    """The layout for images of this size."""
    small = shrink(np.zeros((1, height, width, 1), np.uint8), SIDE)
    lower, wide = small.shape[1:3]
    return Layout(wide, lower, max(1, SHEET_SIDE // wide), max(1, SHEET_SIDE // lower), width, height)


class SheetWriter:
    """Writes `<number>.png` or `.jpg` as batches of images arrive; `finish` writes the last sheet."""

    def __init__(self, folder: Path, layout: Layout, channels: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._layout = folder, layout
        self._places = np.zeros((layout.images, layout.height, layout.width, channels), np.uint8)
        self._filled = self._sheets = self.bytes = 0

    def add(self, images: np.ndarray) -> None:
        """The next images, uint8 [n, H, W, C]. ValueError if one is of another size than the layout's."""
        layout = self._layout
        if images.shape[1:] != (layout.image_height, layout.image_width, self._places.shape[3]):
            raise ValueError(f"images are {list(images.shape)}; the first ones were {layout}")
        small = shrink(images, SIDE) if layout.shrunk else images
        done = 0
        while done < len(small):
            taken = min(len(small) - done, layout.images - self._filled)
            self._places[self._filled : self._filled + taken] = small[done : done + taken]
            self._filled += taken
            done += taken
            if self._filled == layout.images:
                self._write()

    def finish(self) -> None:
        if self._filled:
            self._places[self._filled :] = 0
            self._write()

    def _write(self) -> None:
        layout, channels = self._layout, self._places.shape[3]
        grid = self._places.reshape(layout.down, layout.across, layout.height, layout.width, channels)
        sheet = grid.swapaxes(1, 2).reshape(layout.down * layout.height, layout.across * layout.width, channels)
        picture = Image.fromarray(sheet[..., 0] if channels == 1 else sheet)
        path = self._folder / f"{self._sheets}.{layout.extension}"
        if layout.shrunk:
            picture.save(path, "JPEG", quality=QUALITY, subsampling=0)
        else:
            picture.save(path, "PNG", compress_level=1)
        self.bytes += path.stat().st_size
        self._sheets += 1
        self._filled = 0


def write_sheets(folder: Path, layout: Layout, batches: Iterable[np.ndarray]) -> int:
    """Write the sheets of all images; returns the number of bytes."""
    writer: SheetWriter | None = None
    for images in batches:
        writer = writer or SheetWriter(folder, layout, images.shape[3])
        writer.add(images)
    if writer is None:
        return 0
    writer.finish()
    return writer.bytes
