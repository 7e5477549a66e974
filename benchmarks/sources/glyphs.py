"""One sign of a font as a picture: fitted, turned, moved, in an ink on a ground."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

FINER = 4  # glyphs are drawn so many times larger, then reduced
LEAST_CONTRAST = 70.0  # grey levels between ink and ground


@cache
def load_font(path: Path, size: int) -> ImageFont.FreeTypeFont:
    """Laid out by Pillow's own engine, so that no other library's version matters."""
    return ImageFont.truetype(str(path), size, layout_engine=ImageFont.Layout.BASIC)


def draw_sign(
    sign: str, font: Path, side: int, *, scale: float, angle: float, shift: tuple[float, float]
) -> np.ndarray:
    """Its strokes, uint8 [side, side], 255 where there is only ink.

    The sign's longer side takes the share `scale` of the picture; `angle` is in degrees, `shift` in pixels from the
    centre. ValueError where the font draws nothing.
    """
    large = FINER * side
    face = load_font(font, large)
    left, top, right, bottom = face.getbbox(sign)
    if right <= left or bottom <= top:
        raise ValueError(f"{font.name} draws nothing for {sign!r}")
    box = Image.new("L", (round(right - left), round(bottom - top)))
    ImageDraw.Draw(box).text((-left, -top), sign, fill=255, font=face)
    factor = scale * large / max(box.size)
    size = [max(1, round(length * factor)) for length in box.size]
    picture = Image.new("L", (large, large))
    place = [round((large - length) / 2 + FINER * move) for length, move in zip(size, shift, strict=True)]
    picture.paste(box.resize((size[0], size[1]), Image.Resampling.BICUBIC), (place[0], place[1]))
    picture = picture.rotate(angle, Image.Resampling.BICUBIC)
    return np.asarray(picture.resize((side, side), Image.Resampling.BOX))


def draw_varied(sign: str, font: Path, side: int, rng: np.random.Generator) -> np.ndarray:
    """`draw_sign`, 55 to 85 % of the picture, turned by up to 12 degrees, up to a tenth of the side off the centre."""
    scale, angle = rng.uniform(0.55, 0.85), rng.uniform(-12, 12)
    across, down = rng.uniform(-0.1, 0.1, 2) * side
    return draw_sign(sign, font, side, scale=scale, angle=angle, shift=(across, down))


def colour_strokes(strokes: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Strokes uint8 [H, W] in a random colour on another: uint8 [H, W, 3]. Their grey levels differ by 70 or more."""
    while True:
        ink, ground = rng.integers(0, 256, (2, 3))
        if abs(float(ink.mean() - ground.mean())) >= LEAST_CONTRAST:
            break
    share = strokes[..., np.newaxis] / 255.0
    return np.round(share * ink + (1 - share) * ground).astype(np.uint8)
