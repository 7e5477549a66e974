"""Convert a user's images: mode, depth, orientation, background and size, with a count for each change.

This is the only place where pixels of a source change. No change is silent: images without a sound conversion
(animations, transparent pixels without a background, 32-bit pixels) are refused.
"""

from __future__ import annotations

import io
import re
from collections import Counter

import numpy as np
import pyarrow as pa
from PIL import Image, ImageOps

from ops.datasets.imagefile import open_image
from ops.datasets.png import decode_stored
from ops.errors import DamagedData, UserError
from ops.sources.listing import Piece
from ops.sources.spec import SourceSpec

FORMATS = {
    "PNG": (".png",),
    "JPEG": (".jpg", ".jpeg"),
    "WEBP": (".webp",),
    "TIFF": (".tif", ".tiff"),
    "BMP": (".bmp",),
    "PPM": (".ppm", ".pgm", ".pbm", ".pnm"),
    "MPO": (".jpg", ".jpeg", ".mpo"),
}
PILLOW_FORMATS = tuple(kind for kind in FORMATS if kind != "MPO")  # Pillow opens MPO as JPEG, then recognises it
SUFFIXES = tuple(dict.fromkeys(suffix for suffixes in FORMATS.values() for suffix in suffixes))
BACKGROUNDS = {"black": (0, 0, 0), "white": (255, 255, 255)}
TURNED = "turned upright by their EXIF tag"
SKIPPED = "skipped, because damaged"
GREY_MODES = ("1", "L", "LA", "La")
REPLACE, SKIP = "replace it", ", or set `skip_damaged: true` in the source's description"
SHALLOW = 4_095  # the largest value of 12 bits; 16-bit images that stay below it keep 16 grey levels at most
_NETPBM = re.compile(rb"P[2356]\s+(?:#[^\n]*\n\s*)*\d+\s+\d+\s+(\d+)")


class Converter:
    """Converts pieces of a source to uint8 images; `counts` has the number of images by kind of change.

    `peak` is the largest value in images of 16 bits, from 0 to 65,535; 0 where there are none.
    """

    def __init__(self, spec: SourceSpec) -> None:
        self.spec = spec
        self.counts: Counter[str] = Counter()
        self.peak = 0
        colour = spec.background
        self.background = BACKGROUNDS[colour] if isinstance(colour, str) else colour

    def convert(self, piece: Piece) -> tuple[np.ndarray | list[np.ndarray], np.ndarray]:
        """The images of a piece, as one array [n, H, W, C] or a list of [H, W, C], and their positions in the piece.

        Positions are missing only where damaged images are skipped. DamagedData, naming the place, for an image that
        cannot be decoded; UserError for one that is sound but refused.
        """
        every = np.arange(len(piece))
        stored = self._take_pixels(piece)
        if stored is not None:
            if self.spec.size is None or stored.shape[1:3] == (self.spec.size, self.spec.size):
                return stored, every
            return [self._resize(image) for image in stored], every
        images, kept = [], []
        for position in range(len(piece)):
            payload = piece.content[position]
            content: bytes | None = payload.as_py() if isinstance(payload, pa.Scalar) else payload
            try:
                images.append(self.convert_file(content, piece.name(position)))
            except DamagedData:
                if not self.spec.skip_damaged:
                    raise
                self.counts[SKIPPED] += 1
                continue
            kept.append(position)
        return images, np.array(kept, np.int64)

    def convert_file(self, payload: bytes | None, where: str) -> np.ndarray:
        """One image file as uint8 [H, W, C]: grey has C = 1, every other mode becomes RGB. Raises as `convert`."""
        if not payload:
            raise DamagedData(f"{where}: the image has no bytes; {self._remedy}")
        try:
            image = open_image(payload, formats=PILLOW_FORMATS)
        except ValueError as error:
            raise DamagedData(f"{where}: {error}; {self._remedy}") from error
        suffix = re.search(r"\.[a-z]{3,4}$", where.lower())
        if suffix and suffix[0] in SUFFIXES and suffix[0] not in FORMATS[str(image.format)]:
            self.counts[f"named {suffix[0]}, but {image.format}"] += 1
        try:
            if image.format == "TIFF" and _is_turned(Image.open(io.BytesIO(payload))):  # Pillow turns TIFF on loading
                self.counts[TURNED] += 1
            return self._convert_image(image, is_deep(payload))
        except ValueError as error:
            raise UserError(f"{where}: {error}") from error

    @property
    def _remedy(self) -> str:
        """What mends a damaged image."""
        return REPLACE if self.spec.skip_damaged else REPLACE + SKIP

    def describe_shallow(self) -> str | None:
        """What is wrong with the 16-bit images so far if their upper bytes hold next to nothing, as a clause."""
        if not 0 < self.peak <= SHALLOW:
            return None
        return (
            f"no 16-bit value of its images exceeds {self.peak:,} of 65,535, and only the upper byte of each stays, so"
            f" no more than {self.peak // 256 + 1} of their grey levels would be left; multiply all values by"
            f" {65_536 >> self.peak.bit_length()}, or save the images with 8 bits"
        )

    def require_depth(self) -> None:
        """UserError if the 16-bit images so far would lose almost all their grey levels."""
        if fault := self.describe_shallow():
            raise UserError(f"source {self.spec.name}: {fault}")

    def _take_pixels(self, piece: Piece) -> np.ndarray | None:
        """The pixels of a piece without Pillow, if it is pixels already or all stored PNG; else None."""
        if isinstance(piece.content, np.ndarray):
            return piece.content
        try:
            return decode_stored(piece.content)
        except DamagedData:
            return None  # `convert` then decodes one by one, names the damaged image and may skip it

    def _convert_image(self, image: Image.Image, deep: bool) -> np.ndarray:
        if getattr(image, "is_animated", False) and image.format != "MPO":  # MPO: a camera's picture with previews
            raise ValueError("the file is an animation; allowed: one image in a file")
        upright = ImageOps.exif_transpose(image)
        if _is_turned(image):
            self.counts[TURNED] += 1
        mode = upright.mode
        deep = deep or mode.startswith("I;16")
        if mode.startswith("I") and deep:
            values = np.asarray(upright)
            self.peak = max(self.peak, int(values.max()))
            upright = Image.fromarray((values >> 8).astype(np.uint8))
        elif deep:  # Pillow has kept the upper byte; the lower one was 255 at most
            self.peak = max(self.peak, 256 * _find_largest(upright) + 255)
        elif mode in ("I", "F"):
            raise ValueError(f"pixels of mode {mode} (32 bit); allowed: 8 or 16 bit")
        if deep:
            self.counts["16 bits to 8"] += 1
        if upright.has_transparency_data:
            upright = self._flatten(upright)
        elif upright.mode not in ("L", "RGB"):
            self.counts[f"mode {upright.mode} to {'grey' if upright.mode in GREY_MODES else 'RGB'}"] += 1
        upright = upright.convert("L" if upright.mode in GREY_MODES else "RGB")
        pixels = np.array(upright, np.uint8).reshape(upright.height, upright.width, -1)
        return pixels if self.spec.size is None else self._resize(pixels)

    def _flatten(self, image: Image.Image) -> Image.Image:
        grey = image.mode in GREY_MODES
        layer = image.convert("RGBA")
        if layer.getchannel("A").getextrema() == (255, 255):
            self.counts["opaque alpha dropped"] += 1
        elif self.background is None:
            raise ValueError(
                "the image has transparent pixels; allowed: opaque ones, or a background: in the source's description"
            )
        else:
            self.counts["put on the background"] += 1
            layer = Image.alpha_composite(Image.new("RGBA", layer.size, (*self.background, 255)), layer)
            grey = grey and len(set(self.background)) == 1
        return layer.convert("L" if grey else "RGB")

    def _resize(self, pixels: np.ndarray) -> np.ndarray:
        assert self.spec.size is not None
        side = (self.spec.size, self.spec.size)
        if pixels.shape[:2] == side:
            return pixels
        self.counts[f"resized ({self.spec.fit})"] += 1
        image = Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
        if self.spec.fit == "crop":
            image = ImageOps.fit(image, side, Image.Resampling.BICUBIC)
        elif self.spec.fit == "stretch":
            image = image.resize(side, Image.Resampling.BICUBIC)
        else:
            image = self._pad(image, side)
        return np.array(image, np.uint8).reshape(*side, -1)

    def _pad(self, image: Image.Image, side: tuple[int, int]) -> Image.Image:
        bars = self.background or BACKGROUNDS["black"]
        if image.mode == "L":
            if len(set(bars)) > 1:
                return ImageOps.pad(image.convert("RGB"), side, Image.Resampling.BICUBIC, color=bars)
            return ImageOps.pad(image, side, Image.Resampling.BICUBIC, color=bars[0])
        return ImageOps.pad(image, side, Image.Resampling.BICUBIC, color=bars)


def _find_largest(image: Image.Image) -> int:
    """The largest value of the 8-bit bands of an image, without that of its transparency."""
    return max(int(image.getchannel(band).getextrema()[1]) for band in image.getbands() if band not in "Aa")  # type: ignore[arg-type]


def _is_turned(image: Image.Image) -> bool:
    return bool(image.getexif().get(0x0112, 1) != 1)


def is_deep(payload: bytes) -> bool:
    """Whether a file has 16 bits per sample although Pillow reports 8 or 32."""
    if payload.startswith(b"\x89PNG\r\n\x1a\n"):
        return payload[24:25] == b"\x10"
    netpbm = _NETPBM.match(payload[:512])
    return netpbm is not None and int(netpbm[1]) > 255
