"""Is an image a copy of a real one, or does it repeat an earlier one of its label? Distances, no thresholds.

A distance is relative: the likeness distance to the nearest image (`ops.filters.likeness`), divided by the spacing of
the real images there. 0 is the same picture, perhaps shifted, mirrored or brightened; about 1 is as far as real images
lie apart. Every image has its value whatever the others of its batch are, so that held-out real images can be measured
in the same way and say which values are usual. It knows nothing of files or of what is kept.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ops.filters.likeness import UNRELATED, Likenesses, describe, find_alike, join

SPACED = 3  # the spacing of a real image is its mean distance to so many nearest others
SAME = 1e-3  # images nearer than that are one picture twice, which says nothing of how pictures are spaced
THOROUGH = 32  # candidates when spacings are measured, which is done once
CROWDED = 0.5  # of the real images' spacing is the least that many generated images between them leave
BATCH = 2048


@dataclass(frozen=True, eq=False)
class References:
    """Real images to compare with. spacing: float32 [n], above 0. rows: the first row with these pixels, by digest."""

    likenesses: Likenesses
    spacing: np.ndarray
    rows: dict[bytes, int]
    shape: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.spacing)

    def spacing_of(self, nearest: np.ndarray) -> np.ndarray:
        """float32 [n], of the images `nearest`, int64 [n]; where that is -1, for nobody, as of an image alone."""
        return np.append(self.spacing, np.float32(UNRELATED))[nearest]


@dataclass(frozen=True, eq=False)
class Nearness:
    """One value per image. distance: float32 [n], 0 or more, inf where there is nothing to compare with. nearest:
    int64 [n], whom it is measured to, -1 for nobody. exact: bool [n], every pixel is that one's."""

    distance: np.ndarray
    nearest: np.ndarray
    exact: np.ndarray


def fit_references(images: Tensor) -> References:
    """Real images uint8 [n, C, H, W], made ready to be compared with.

    An image alone in the world is as far from others as unrelated ones are. ValueError for other images.
    """
    _check(images, tuple(images.shape[1:]))
    likenesses = describe(images)
    rows: dict[bytes, int] = {}
    for row, digest in enumerate(_digest(images)):
        rows.setdefault(digest, row)
    # Twice as many as are needed, for some may be the same picture again.
    others = find_alike(likenesses, likenesses, 2 * SPACED, exclude_self=True, candidates=THOROUGH)
    return References(likenesses, _space(others.distances), rows, tuple(images.shape[1:]))


def measure_copies(references: References, images: Tensor) -> Nearness:
    """How near images uint8 [n, C, H, W] come to real ones of the same shape; ValueError for another."""
    _check(images, references.shape)
    parts = [_measure(references, part) for part in images.split(BATCH)] if len(images) else []
    return _join(parts)


def measure_repeats(
    references: References,
    images: Tensor,
    labels: np.ndarray,
    *,
    earlier: Tensor | None = None,
    earlier_labels: np.ndarray | None = None,
) -> Nearness:
    """How near images uint8 [n, C, H, W] with labels int [n] come to an earlier one of the same label.

    `earlier` images, if any, come before all of these; `nearest` counts them first. The spacing is that of the real
    image nearest to each. What comes later changes nothing. Labels are done one after the other, and memory holds
    2.4 KB (28x28x1) for each image of one label.
    """
    _check(images, references.shape)
    before = images[:0] if earlier is None else earlier
    _check(before, references.shape)
    known = np.empty(0, np.int64) if earlier_labels is None else earlier_labels
    if len(labels) != len(images) or len(known) != len(before):
        raise ValueError(f"{len(images)} and {len(before)} images have {len(labels)} and {len(known)} labels")
    result = _empty(len(images))
    for label in np.unique(labels):
        old, new = np.flatnonzero(known == label), np.flatnonzero(labels == label)
        members = np.concatenate([old, len(before) + new])
        found = _follow(references, before[torch.from_numpy(old)], images[torch.from_numpy(new)])
        result.distance[new], result.exact[new] = found.distance, found.exact
        result.nearest[new] = np.where(found.nearest >= 0, members[found.nearest], -1)
    return result


def _follow(references: References, before: Tensor, images: Tensor) -> Nearness:
    """`measure_repeats` of one label."""
    seen: dict[bytes, int] = {}
    for row, digest in enumerate(_digest(before)):
        seen.setdefault(digest, row)
    held = [describe(before)] if len(before) else []
    result, place = _empty(len(images)), len(before)
    for start in range(0, len(images), BATCH):
        rows = slice(start, start + BATCH)
        queries = describe(images[rows])
        held = [join([*held, queries])]
        own = place + start + np.arange(len(queries))
        found, real = find_alike(queries, held[0], below=own), find_alike(queries, references.likenesses)
        least = CROWDED * references.spacing_of(real.indices[:, 0])
        spacing = np.maximum(np.minimum(found.around, real.around), least)
        result.distance[rows], result.nearest[rows] = found.distances[:, 0] / spacing, found.indices[:, 0]
        for offset, digest in enumerate(_digest(images[rows])):
            if (first := seen.setdefault(digest, int(own[offset]))) != own[offset]:
                result.exact[start + offset] = True
                result.distance[start + offset], result.nearest[start + offset] = 0, first
    return result


def _measure(references: References, images: Tensor) -> Nearness:
    found = find_alike(describe(images), references.likenesses)
    distance, nearest = found.distances[:, 0], found.indices[:, 0]
    relative = distance / references.spacing_of(nearest)
    same = np.array([references.rows.get(digest, -1) for digest in _digest(images)], dtype=np.int64)
    exact = same >= 0
    return Nearness(np.where(exact, np.float32(0), relative), np.where(exact, same, nearest), exact)


def _space(distances: np.ndarray) -> np.ndarray:
    """The spacing float32 [n] from distances [n, k] to the nearest others, ascending."""
    apart = (distances > SAME) & np.isfinite(distances)
    counted = apart & (apart.cumsum(1) <= SPACED)
    count = counted.sum(1)
    total = np.where(counted, distances, 0).sum(1)
    usual = np.median(total[count > 0] / count[count > 0]) if (count > 0).any() else UNRELATED
    return np.where(count > 0, total / np.maximum(count, 1), usual).astype(np.float32)


def _digest(images: Tensor) -> list[bytes]:
    return [hashlib.blake2b(image, digest_size=16).digest() for image in images.contiguous().numpy()]


def _empty(count: int) -> Nearness:
    return Nearness(np.full(count, np.inf, np.float32), np.full(count, -1, np.int64), np.zeros(count, bool))


def _join(parts: list[Nearness]) -> Nearness:
    if not parts:
        return _empty(0)
    return Nearness(*(np.concatenate([getattr(p, name) for p in parts]) for name in ("distance", "nearest", "exact")))


def _check(images: Tensor, shape: tuple[int, ...]) -> None:
    if images.dtype != torch.uint8 or images.ndim != 4 or tuple(images.shape[1:]) != shape:
        raise ValueError(f"images are {images.dtype} {list(images.shape)}; allowed: uint8 [n, C, H, W] of one shape")
