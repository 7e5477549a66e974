"""Where Debian's packages put the files that sources are made from; a missing file's error names its package."""

from __future__ import annotations

import os
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from ops.errors import UserError

FONTS = Path("/usr/share/fonts")
ICONS = Path("/usr/share/icons/Tango/32x32")
EMOJI_TABLE = Path("/usr/share/unicode/emoji/emoji-test.txt")
EMOJI_FONT = FONTS / "truetype/noto/NotoColorEmoji.ttf"
PHOTOGRAPHS = Path("/usr/lib/python3/dist-packages/skimage/data")
PHOTOGRAPHS_VARIABLE = "GROWSET_SKIMAGE_DATA"

# Two hands, three weights of them, two Gothic and two Mincho faces: what draws Japanese.
JAPANESE = {
    "fonts-ipafont-gothic": ("opentype/ipafont-gothic/ipag.ttf",),
    "fonts-ipafont-mincho": ("opentype/ipafont-mincho/ipam.ttf",),
    "fonts-kiloji": ("truetype/kiloji/kiloji.ttf", "truetype/kiloji/kiloji_b.ttf"),
    "fonts-vlgothic": ("truetype/vlgothic/VL-Gothic-Regular.ttf",),
}
LATIN = {
    "fonts-dejavu-core": tuple(
        f"truetype/dejavu/DejaVu{name}.ttf"
        for name in ("Sans", "Sans-Bold", "SansMono", "SansMono-Bold", "Serif", "Serif-Bold")
    ),
    "fonts-dejavu-extra": tuple(
        f"truetype/dejavu/DejaVu{name}.ttf"
        for name in (
            "Sans-ExtraLight", "Sans-Oblique", "Sans-BoldOblique", "SansCondensed", "SansCondensed-Bold",
            "SansMono-Oblique", "Serif-Italic", "Serif-BoldItalic", "SerifCondensed", "SerifCondensed-BoldItalic",
        )
    ),
    "fonts-liberation": tuple(
        f"truetype/liberation/Liberation{family}-{style}.ttf"
        for family in ("Mono", "Sans", "Serif")
        for style in ("Regular", "Bold", "Italic", "BoldItalic")
    ),
}  # fmt: skip


def require(path: Path, package: str) -> Path:
    """The path; UserError with the package that brings it where nothing is there."""
    if not path.exists():
        raise UserError(f"{path} is not there: install Debian's package {package}")
    return path


def find_fonts(files: dict[str, tuple[str, ...]]) -> list[Path]:
    """The font files of these packages, in the order of the table."""
    return [require(FONTS / name, package) for package, names in files.items() for name in names]


def find_photographs(names: Sequence[str]) -> list[Path]:
    """scikit-image's own pictures: in GROWSET_SKIMAGE_DATA, in an installed scikit-image, or in Debian's.

    UserError where one is missing.
    """
    spec = find_spec("skimage")
    installed = [Path(place) / "data" for place in (spec.submodule_search_locations or ())] if spec else []
    chosen = os.environ.get(PHOTOGRAPHS_VARIABLE)
    folders = [Path(chosen)] if chosen else [*installed, PHOTOGRAPHS]
    folder = next((folder for folder in folders if folder.is_dir()), folders[-1])
    for name in names:
        if not (folder / name).is_file():
            raise UserError(
                f"{folder / name} is not there: install Debian's package python3-skimage, or name the folder of"
                f" scikit-image's pictures in {PHOTOGRAPHS_VARIABLE}"
            )
    return [folder / name for name in names]
