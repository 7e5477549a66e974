"""Emoji by the groups of Unicode's table, as Noto's colour font draws them on white.

Left out are skin tones, joined signs (families, professions) and keycaps: they are near copies of others.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from benchmarks.sources import packages
from benchmarks.sources.drawn import Drawn, Labelled, divide_by_shares, keep_distinct

NATIVE = 109  # the one size that the font has
FRAME = 136  # pixels that its widest picture takes
LEFT_OUT = {"Component"}
SKIN_TONES = range(0x1F3FB, 0x1F400)
JOINER, KEYCAP = 0x200D, 0x20E3
MOST = 120  # of a group
SHARES = {"train": 0.6, "validation": 0.15, "test": 0.25}


def read_groups() -> Iterator[tuple[str, str]]:
    """Group and text of each emoji that is drawn here, in the table's order."""
    group = ""
    table = packages.require(packages.EMOJI_TABLE, "unicode-data").read_text(encoding="utf-8")
    for line in table.splitlines():
        if line.startswith("# group: "):
            group = line.removeprefix("# group: ")
        elif "; fully-qualified" in line and group not in LEFT_OUT:
            points = [int(word, 16) for word in line.split(";")[0].split()]
            if not {JOINER, KEYCAP, *SKIN_TONES} & set(points):
                yield group, "".join(map(chr, points))


def draw_emoji(side: int, seed: int, *, most: int = MOST) -> Drawn:
    """At most so many of each group, uint8 [n, side, side, 3]; no two pictures are equal."""
    font = ImageFont.truetype(str(packages.require(packages.EMOJI_FONT, "fonts-noto-color-emoji")), NATIVE)
    rng = np.random.default_rng([seed, 3])
    by_group: dict[str, list[str]] = {}
    for group, text in read_groups():
        by_group.setdefault(group, []).append(text)
    images, labels = [], []
    for label, texts in enumerate(by_group.values()):
        for row in np.sort(rng.permutation(len(texts))[:most]):
            if (picture := _draw(texts[row], font, side)) is not None:
                images.append(picture)
                labels.append(label)
    whole = keep_distinct(Labelled(np.stack(images), np.array(labels, np.int64)))
    return Drawn(tuple(by_group), divide_by_shares(whole, SHARES, rng))


def _draw(text: str, font: ImageFont.FreeTypeFont, side: int) -> np.ndarray | None:
    """None where the font has no picture, or only one beside another."""
    left, top, right, bottom = font.getbbox(text)
    if not 0 < right - left <= FRAME:
        return None
    picture = Image.new("RGB", (FRAME, FRAME), "white")
    place = ((FRAME - (right - left)) / 2 - left, (FRAME - (bottom - top)) / 2 - top)
    ImageDraw.Draw(picture).text(place, text, font=font, embedded_color=True)
    array = np.asarray(picture.resize((side, side), Image.Resampling.LANCZOS))
    return array if array.min() < 255 else None
