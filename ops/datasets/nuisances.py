"""The nuisances of Kuzushiji-49-LT: rotation, background and stroke width, one frozen draw per image.

From Zhou et al., "Do Deep Networks Transfer Invariances Across Classes?" (ICLR 2022), as their code runs them
(sets ROT, BG and DIL). A nuisance changes an image and never its label. The draw depends on (seed, key of the
source image, k) only. An image that is used several times (k = 0, 1, 2, ...) therefore gets several draws, and
neither chunks nor order change a byte. For fresh draws in every epoch pass fresh k.

`draw_*` draws the parameters; the other functions apply them. The module knows neither splits nor labels nor class
sizes. Its pixels are those of one Pillow and SciPy version.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import polars as pl
from PIL import Image
from scipy import ndimage

from ops.datasets.keyed import draw_words, to_fractions, to_integers

FRESH = 1_000_000  # number of the first draw that no stored image has; theirs count the uses of an image, from 0
BACKGROUNDS = 100  # grey levels 0 .. 99
DILATED_SHARE = 0.6
_DILATION_SIDES = 3  # 2, 3, 4
_EROSION_SIDES = 2  # 1, 2

Numbers = Sequence[int] | np.ndarray | None


def rotate(
    images: np.ndarray, keys: Sequence[str], *, seed: int, ks: Numbers = None
) -> tuple[np.ndarray, pl.DataFrame]:
    """ROT: `draw_angles`, then `rotate_images`; the images, uint8 [n, H, W, C], and the frame of the draws."""
    frame = draw_angles(keys, seed=seed, ks=ks)
    return rotate_images(images, frame["angle"].to_numpy()), frame


def colour_background(
    images: np.ndarray, keys: Sequence[str], *, seed: int, ks: Numbers = None
) -> tuple[np.ndarray, pl.DataFrame]:
    """BG: `draw_backgrounds`, then `fill_background`; the images, uint8 [n, H, W, C], and the frame of the draws."""
    frame = draw_backgrounds(keys, seed=seed, ks=ks)
    return fill_background(images, frame["background"].to_numpy()), frame


def vary_strokes(
    images: np.ndarray, keys: Sequence[str], *, seed: int, ks: Numbers = None
) -> tuple[np.ndarray, pl.DataFrame]:
    """DIL: `draw_strokes`, then `filter_strokes`; the images, uint8 [n, H, W, C], and the frame of the draws."""
    frame = draw_strokes(keys, seed=seed, ks=ks)
    return filter_strokes(images, frame["operation"].to_list(), frame["side"].to_numpy()), frame


NUISANCES: dict[str, Callable[..., tuple[np.ndarray, pl.DataFrame]]] = {
    "rotation": rotate,
    "background": colour_background,
    "strokes": vary_strokes,
}


def draw_angles(keys: Sequence[str], *, seed: int, ks: Numbers = None) -> pl.DataFrame:
    """`angle`, Float64: degrees, uniform in [-180, 180)."""
    words = draw_words(keys, purpose="rotation", seed=seed, ks=ks)
    return pl.DataFrame({"angle": to_fractions(words[:, 0]) * 360.0 - 180.0})


def draw_backgrounds(keys: Sequence[str], *, seed: int, ks: Numbers = None) -> pl.DataFrame:
    """`background`, UInt8: a grey level, uniform in 0 .. 99."""
    words = draw_words(keys, purpose="background", seed=seed, ks=ks)
    return pl.DataFrame({"background": to_integers(words[:, 0], BACKGROUNDS).astype(np.uint8)})


def draw_strokes(keys: Sequence[str], *, seed: int, ks: Numbers = None) -> pl.DataFrame:
    """`operation`, String, and `side` of the kernel in pixels, UInt8.

    dilate has probability 0.6 and a side of 2, 3 or 4; erode has probability 0.4 and a side of 1 or 2; sides are
    equally likely. Side 1 changes nothing, so 20 % of the images stay as they are.
    """
    words = draw_words(keys, purpose="strokes", seed=seed, ks=ks, words=2)
    dilated = to_fractions(words[:, 0]) < DILATED_SHARE
    dilation, erosion = 2 + to_integers(words[:, 1], _DILATION_SIDES), 1 + to_integers(words[:, 1], _EROSION_SIDES)
    side = np.where(dilated, dilation, erosion).astype(np.uint8)
    names = pl.Series(dilated).replace_strict({True: "dilate", False: "erode"}, return_dtype=pl.String)
    return pl.DataFrame({"operation": names, "side": side})


def rotate_images(images: np.ndarray, angles: np.ndarray) -> np.ndarray:
    """Each image turned anticlockwise by its angle in degrees about its centre: uint8 [n, H, W, C], C in {1, 3}.

    Bicubic as in Pillow's transforms (a = -1; taps beyond the edge repeat it); uncovered pixels are 0. ValueError for
    other shapes or types.
    """
    _require_images(images, len(angles))
    result = np.empty_like(images)
    for index, (image, angle) in enumerate(zip(images, angles.tolist(), strict=True)):
        flat = image[..., 0] if image.shape[2] == 1 else image
        turned = Image.fromarray(flat).rotate(angle, Image.Resampling.BICUBIC, fillcolor=0)
        result[index] = np.asarray(turned).reshape(image.shape)
    return result


def fill_background(images: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """Set every pixel that is exactly 0 in all channels to the image's level: uint8 [n, H, W, C].

    levels: uint8 [n]. ValueError for other shapes or types.
    """
    _require_images(images, len(levels))
    empty = (images == 0).all(axis=3, keepdims=True)
    return np.where(empty, levels.astype(np.uint8)[:, None, None, None], images)


def filter_strokes(images: np.ndarray, operations: Sequence[str], sides: np.ndarray) -> np.ndarray:
    """Each image dilated (maximum) or eroded (minimum) once over a square of its side: uint8 [n, H, W, C].

    The same as OpenCV's `dilate` and `erode` of light strokes on a dark ground. The anchor of a square of side s is
    s // 2 in both, so a square of side 2 covers the pixels above and to the left, and strokes grow down and right.
    Pixels outside the image never win.
    operations: "dilate" or "erode". ValueError for others, a side below 1, other shapes or types.
    """
    _require_images(images, len(sides))
    if unknown := set(operations) - {"dilate", "erode"}:
        raise ValueError(f"the operation is {min(unknown)}; allowed: dilate, erode")
    if len(operations) != len(sides):
        raise ValueError(f"there are {len(operations)} operations and {len(sides)} sides")
    if len(sides) and sides.min() < 1:
        raise ValueError(f"the side is {sides.min()}; allowed: 1 and more")
    result = images.copy()
    dilated = np.array([name == "dilate" for name in operations], np.bool_)
    for side in np.unique(sides).tolist():
        if side == 1:
            continue
        # SciPy's window of size s starts s // 2 before the pixel, as OpenCV's does. Outside pixels have the weakest
        # value, so they never win.
        for rows, choose, outside in (
            (np.flatnonzero(dilated & (sides == side)), ndimage.maximum_filter1d, 0),
            (np.flatnonzero(~dilated & (sides == side)), ndimage.minimum_filter1d, 255),
        ):
            part = images[rows]
            for axis in (1, 2):
                part = choose(part, side, axis=axis, mode="constant", cval=outside)
            result[rows] = part
    return result


def _require_images(images: np.ndarray, draws: int) -> None:
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[3] not in (1, 3):
        raise ValueError(f"images are {images.dtype} {list(images.shape)}; allowed: uint8 [n, H, W, 1 or 3]")
    if len(images) != draws:
        raise ValueError(f"there are {len(images)} images and {draws} draws")
