"""Is an image a copy of a real one, or does it repeat an earlier one of its label? Distances, no thresholds.

A distance is relative: the likeness distance to the nearest image (`ops.likeness.likeness`), divided by the spacing of
the real images there. At 0 both are the same picture, perhaps shifted, mirrored or brightened: a mirrored copy is a
copy. At about 1 they are as far apart as real images are. An image's value does not depend on the rest of its batch,
so held-out real images are measured in the same way and show which values are usual. It knows nothing of files or of
which images are kept.

Symbols: d the likeness distance to the nearest image, sigma the spacing; the relative distance is d / sigma.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch
from torch import Tensor

from ops.likeness.descriptors import ImageDescriptors, Queries, describe, prepare
from ops.likeness.likeness import Matches, find_matches, measure_pairs
from ops.likeness.registration import UNRELATED
from ops.machine.parallel import start_threads

SPACING_NEIGHBOURS = 3  # a real image's spacing is its mean distance to so many nearest others
DUPLICATE = 1e-3  # images nearer than this show one picture twice; spacings leave them out
SPACING_CANDIDATES = 32  # spacings are measured once, so with more candidates
EARLY_LIMIT = 0.9  # in spacings: a pair farther apart after the early steps is not a copy after the last one either
MIN_SPACING = 0.5  # in real spacings: the least spacing among generated images, however many there are
BATCH = 512


@dataclass(frozen=True, eq=False)
class References:
    """Real images to compare with. spacing: float32 [n], above 0. rows: by digest, the first row with these pixels."""

    descriptors: ImageDescriptors
    spacing: np.ndarray
    rows: dict[bytes, int]
    shape: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.spacing)

    def spacing_of(self, nearest: np.ndarray) -> np.ndarray:
        """sigma float32 [n] at the images `nearest`, int64 [n]; -1 (no neighbour) gives UNRELATED."""
        return np.append(self.spacing, np.float32(UNRELATED))[nearest]

    def find_matches(self, queries: Queries, other_than: np.ndarray | None = None) -> Matches:
        """The nearest real image of each query, apart from the one that `other_than` int64 [n] names (-1: none)."""
        limits = EARLY_LIMIT * torch.from_numpy(self.spacing)

        def find_limits(_: Tensor, index: Tensor) -> Tensor:
            return limits[index]

        return find_matches(queries, self.descriptors, other_than=other_than, find_limits=find_limits)


@dataclass(frozen=True, eq=False)
class Nearness:
    """One value per image.

    distance: float32 [n], relative, 0 or more; inf where there is nothing to compare with. nearest: int64 [n], the
    image at that distance, -1 for none. exact: bool [n], whether all pixels equal that image's.
    """

    distance: np.ndarray
    nearest: np.ndarray
    exact: np.ndarray


def fit_references(images: Tensor) -> References:
    """Descriptors and spacings of real images uint8 [n, C, H, W].

    With a single image the spacing is UNRELATED. ValueError for another type or shape.
    """
    _check(images, tuple(images.shape[1:]))
    descriptors = describe(images)
    rows: dict[bytes, int] = {}
    for row, digest in enumerate(_digest(images)):
        rows.setdefault(digest, row)
    # Twice as many neighbours as needed, because some may show the same picture.
    distances = np.empty((len(images), 2 * SPACING_NEIGHBOURS), np.float32)

    def search_batch(batch: slice) -> None:
        own = np.arange(len(images))[batch]
        queries, k = prepare(descriptors[batch]), distances.shape[1]
        found = find_matches(queries, descriptors, k, other_than=own, candidates=SPACING_CANDIDATES)
        distances[batch] = found.distances

    with start_threads() as pool:
        list(pool.map(search_batch, _batches(len(images))))
    return References(descriptors, average_spacing(distances), rows, tuple(images.shape[1:]))


def find_distinct(images: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """The rows int64 [m] of the distinct images among uint8 images [n, C, H, W], each at its first occurrence, and for
    every image the place int64 [n] of its pixels among these."""
    first: dict[bytes, int] = {}
    rows: list[int] = []
    places = np.empty(len(images), np.int64)
    for row, digest in enumerate(_digest(images)):
        places[row] = first.setdefault(digest, len(rows))
        if places[row] == len(rows):
            rows.append(row)
    return np.array(rows, np.int64), places


def measure_copies(references: References, images: Tensor, *, other_than: np.ndarray | None = None) -> Nearness:
    """How near images uint8 [n, C, H, W] come to real ones of the same shape; ValueError for another shape.

    `other_than` int64 [n] names the real image that each is a variant of (-1: none). It does not count, unless all
    pixels are equal.
    """
    _check(images, references.shape)
    result = _empty(len(images))
    for batch in _batches(len(images)):
        hidden = None if other_than is None else other_than[batch]
        found = references.find_matches(prepare(describe(images[batch])), hidden)
        _write_copies(result, batch, references, found, _digest(images[batch]))
    return result


def measure_parents(references: References, images: Tensor, parents: np.ndarray) -> np.ndarray:
    """How near images uint8 [n, C, H, W] come to their parents, the real images `parents` int64 [n].

    float32 [n], relative to the spacing of the real images around the parent; 0 is the parent itself.
    """
    _check(images, references.shape)
    distance = np.empty(len(images), np.float32)
    for batch in _batches(len(images)):
        queries, own = prepare(describe(images[batch])), parents[batch]
        same = np.array([references.rows.get(digest, -1) for digest in _digest(images[batch])], np.int64) == own
        apart = measure_pairs(queries, references.descriptors, own) / references.spacing_of(own)
        distance[batch] = np.where(same, 0, apart)
    return distance


def measure_nearness(
    images: Tensor,
    labels: np.ndarray,
    train: References,
    others: Sequence[References] = (),
    *,
    earlier: Tensor | None = None,
    earlier_labels: np.ndarray | None = None,
    other_than: np.ndarray | None = None,
) -> tuple[Nearness, list[Nearness], Nearness]:
    """How near images uint8 [n, C, H, W] with labels int [n] come to `train`, to each of `others`, and to the images of
    their label that come before them. The first two are as `measure_copies` finds them, in less time.

    `other_than` int64 [n] names images of `train` that do not count, as in `measure_copies`. `earlier` images, if any,
    come before all of these and are numbered first in `nearest`. Later images change no value.

    The sigma of a repeat is the rough distance to the fifth nearest image, among the earlier ones or in `train`,
    whichever is less, so that a value means the same among few images and among many. It is at least MIN_SPACING times
    the spacing of the nearest image in `train`, so that many copies of one picture do not pass for the usual spacing.
    Among fewer than five images, earlier ones and in `train` alike, it is that spacing.

    Each label runs in a thread of its own; memory holds 2.3 KB (28x28x1) for each image of the labels at work.
    """
    for references in (train, *others):
        _check(images, references.shape)
    before = images[:0] if earlier is None else earlier
    _check(before, train.shape)
    known = np.empty(0, np.int64) if earlier_labels is None else earlier_labels
    if len(labels) != len(images) or len(known) != len(before):
        raise ValueError(f"{len(images)} and {len(before)} images have {len(labels)} and {len(known)} labels")
    copies, leaks, repeats = _empty(len(images)), [_empty(len(images)) for _ in others], _empty(len(images))

    def follow_label(label: int) -> None:
        """All images of a label, in order; a label writes only its own rows of the results."""
        old, new = np.flatnonzero(known == label), np.flatnonzero(labels == label)
        members = np.concatenate([old, len(before) + new])
        seen = _EarlierImages(before[torch.from_numpy(old)], len(members))
        for batch in _batches(len(new)):
            rows = new[batch]
            part = images[torch.from_numpy(rows)]
            descriptors, digests = describe(part), _digest(part)
            queries = prepare(descriptors)
            hidden = None if other_than is None else other_than[rows]
            # Copies: the nearest real image, in `train` and in each of `others`.
            real = train.find_matches(queries, hidden)
            _write_copies(copies, rows, train, real, digests)
            for result, references in zip(leaks, others, strict=True):
                _write_copies(result, rows, references, references.find_matches(queries), digests)
            # Repeats: the nearest earlier image, with sigma = max(min(rough spacings), least).
            usual, most = train.spacing_of(real.indices[:, 0]), real.rough_spacing
            least = MIN_SPACING * usual
            found, same = seen.search_and_add(queries, descriptors, digests, least, most)
            spacing = np.maximum(np.minimum(found.rough_spacing, most), least)
            spacing = np.where(np.isfinite(spacing), spacing, usual)
            nearest = found.indices[:, 0]
            _write(
                repeats,
                rows,
                found.distances[:, 0] / spacing,
                np.where(nearest >= 0, members[nearest], -1),
                np.where(same >= 0, members[same], -1),
            )

    with start_threads() as pool:
        list(pool.map(follow_label, np.unique(labels).tolist()))
    return copies, leaks, repeats


class _EarlierImages:
    """The images of one label so far; each new one is compared with those before it."""

    def __init__(self, before: Tensor, count: int) -> None:
        blank = describe(before[:0])
        shapes = [getattr(blank, field.name) for field in fields(blank)]
        self._held = ImageDescriptors(*(torch.empty(count, *part.shape[1:], dtype=part.dtype) for part in shapes))
        self._count = 0
        self._rows: dict[bytes, int] = {}
        for batch in _batches(len(before)):
            self._add(describe(before[batch]), _digest(before[batch]))

    def search_and_add(
        self, queries: Queries, descriptors: ImageDescriptors, digests: list[bytes], least: np.ndarray, most: np.ndarray
    ) -> tuple[Matches, np.ndarray]:
        """The nearest earlier image of each of the next images, and the one with equal pixels, or -1.

        The spacing, which limits early registration steps, is kept between `least` and `most`, float [n].
        """

        def find_limits(rough_spacing: Tensor, _: Tensor) -> Tensor:
            spacing = torch.minimum(rough_spacing, torch.from_numpy(most)).maximum(torch.from_numpy(least))
            return EARLY_LIMIT * spacing[:, None]

        own = self._count + np.arange(len(queries))
        first = self._add(descriptors, digests)
        found = find_matches(queries, self._held[: self._count], below=own, find_limits=find_limits)
        return found, np.where(first < own, first, -1)

    def _add(self, descriptors: ImageDescriptors, digests: list[bytes]) -> np.ndarray:
        end = self._count + len(descriptors)
        for field in fields(descriptors):
            getattr(self._held, field.name)[self._count : end] = getattr(descriptors, field.name)
        first = [self._rows.setdefault(digest, self._count + i) for i, digest in enumerate(digests)]
        self._count = end
        return np.array(first, dtype=np.int64)


def _write_copies(
    result: Nearness, rows: slice | np.ndarray, references: References, found: Matches, digests: list[bytes]
) -> None:
    nearest = found.indices[:, 0]
    same = np.array([references.rows.get(digest, -1) for digest in digests], dtype=np.int64)
    _write(result, rows, found.distances[:, 0] / references.spacing_of(nearest), nearest, same)


def _write(
    result: Nearness, rows: slice | np.ndarray, distance: np.ndarray, nearest: np.ndarray, same: np.ndarray
) -> None:
    """Write `rows` of the result; `same` names an image with equal pixels (-1: none), which is then the nearest."""
    result.exact[rows] = same >= 0
    result.distance[rows] = np.where(same >= 0, 0, distance)
    result.nearest[rows] = np.where(same >= 0, same, nearest)


def average_spacing(distances: np.ndarray) -> np.ndarray:
    """The spacing float32 [n]: the mean over distances [n, k] to the nearest others, ascending, without duplicates.

    An image without others has the median spacing, and UNRELATED where no image has others.
    """
    apart = (distances > DUPLICATE) & np.isfinite(distances)
    counted = apart & (apart.cumsum(1) <= SPACING_NEIGHBOURS)
    count = counted.sum(1)
    total = np.where(counted, distances, 0).sum(1)
    usual = np.median(total[count > 0] / count[count > 0]) if (count > 0).any() else UNRELATED
    return np.where(count > 0, total / np.maximum(count, 1), usual).astype(np.float32)


def _batches(count: int) -> list[slice]:
    return [slice(start, start + BATCH) for start in range(0, count, BATCH)]


def _digest(images: Tensor) -> list[bytes]:
    return [hashlib.blake2b(image, digest_size=16).digest() for image in images.contiguous().numpy()]


def _empty(count: int) -> Nearness:
    return Nearness(np.full(count, np.inf, np.float32), np.full(count, -1, np.int64), np.zeros(count, bool))


def _check(images: Tensor, shape: tuple[int, ...]) -> None:
    if images.dtype != torch.uint8 or images.ndim != 4 or tuple(images.shape[1:]) != shape:
        raise ValueError(f"images are {images.dtype} {list(images.shape)}; allowed: uint8 [n, C, H, W] of one shape")
