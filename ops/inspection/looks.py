"""Light, contrast, colour and sharpness of each image, and the odd ones: blank, blurred, noisy, grey among colour.

Every number belongs to one image; only what is odd depends on the others. All are of the small pictures that the
inspection keeps.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from ops.filters.looks import measure_looks
from ops.inspection.outliers import measure_excess

BLANK = 2.0  # grey levels of contrast at 8 x 8, which noise hardly raises
FLAT = 6.0  # grey levels of contrast, which thin strokes raise
FAR = 5.0  # robust standard deviations from the median, of the log sharpness
LEAST = 20  # images, below which no sharpness is usual
SHOWN = (5, 50, 95)  # percentiles of a summary
PART = 512


@dataclass(frozen=True, eq=False)
class Looks:
    """One value per image, float64 [n].

    brightness: mean level, 0..1. contrast: standard deviation of the levels within channels, 0..0.5. colour: mean
    difference of the largest and the smallest channel, 0..1, 0 for grey. sharpness: root mean square of the Laplacian
    divided by the contrast, 0 for blank pictures; blur lowers it, noise raises it.
    structure: contrast of the picture averaged down to 8 x 8, in levels.
    """

    brightness: np.ndarray
    contrast: np.ndarray
    colour: np.ndarray
    sharpness: np.ndarray
    structure: np.ndarray


def measure(images: np.ndarray) -> Looks:
    """The looks of uint8 images [n, H, W, C]."""
    if not len(images):
        return Looks(*(np.empty(0) for _ in range(5)))
    parts = [_measure(images[start : start + PART]) for start in range(0, len(images), PART)]
    return Looks(*(np.concatenate(values) for values in zip(*parts, strict=True)))


def summarise(looks: Looks) -> dict[str, dict[str, float]]:
    """Percentiles of each look; empty without images."""
    named = {name: getattr(looks, name) for name in ("brightness", "contrast", "colour", "sharpness")}
    return {
        name: {f"p{share}": float(np.percentile(values, share)) for share in SHOWN}
        for name, values in named.items()
        if len(values)
    }


def find_blank(looks: Looks) -> np.ndarray:
    """Rows int [m] of pictures that show nothing: hardly any contrast, apart from noise."""
    return np.flatnonzero(is_blank(looks))


def is_blank(looks: Looks) -> np.ndarray:
    """bool [n]."""
    return np.asarray((looks.structure < BLANK) & (255 * looks.contrast < FLAT))


def find_blurred(looks: Looks) -> np.ndarray:
    """Rows int [m] far less sharp than the others, the least sharp first; blank pictures apart."""
    return _find_far(-np.log(looks.sharpness + 1e-6), ~is_blank(looks))


def find_noisy(looks: Looks) -> np.ndarray:
    """Rows int [m] far sharper than the others, as noise is, the sharpest first."""
    return _find_far(np.log(looks.sharpness + 1e-6), ~is_blank(looks))


def _find_far(values: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """Rows of the `asked` images bool [n] whose values [n] lie FAR above the median, the farthest first."""
    rows = np.flatnonzero(asked)
    if len(rows) < LEAST:
        return np.empty(0, np.int64)
    above = measure_excess(values[rows])
    order = np.argsort(-above, kind="stable")
    return np.asarray(rows[order[above[order] > FAR]])


def find_grey(images: np.ndarray, looks: Looks) -> np.ndarray:
    """Rows int [m] of grey pictures, where most of the set is in colour."""
    grey = looks.colour == 0
    if images.shape[3] == 1 or grey.mean() > 0.5:
        return np.empty(0, np.int64)
    return np.flatnonzero(grey)


def _measure(images: np.ndarray) -> tuple[np.ndarray, ...]:
    seen = measure_looks(torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2))))
    levels = images.astype(np.float64) / 255
    grey = levels.mean(axis=3)
    padded = np.pad(grey, ((0, 0), (1, 1), (1, 1)), mode="edge")
    around = padded[:, :-2, 1:-1] + padded[:, 2:, 1:-1] + padded[:, 1:-1, :-2] + padded[:, 1:-1, 2:]
    edges = np.sqrt(np.square(around - 4 * grey).mean(axis=(1, 2)))
    contrast = seen.contrast.astype(np.float64) / 255
    return (
        levels.mean(axis=(1, 2, 3)),
        contrast,
        (levels.max(axis=3) - levels.min(axis=3)).mean(axis=(1, 2)),
        np.divide(edges, contrast, out=np.zeros_like(edges), where=contrast > 1e-3),
        seen.structure.astype(np.float64),
    )
