"""Is an image a copy of a real one, or does it repeat an earlier one of its label? Distances, no thresholds.

A distance is relative: the likeness distance to the nearest image (`ops.likeness.likeness`), divided by the spacing of
the real images there. 0 is the same picture, perhaps shifted, mirrored or brightened: a mirrored copy is a copy. About
1 is as far as real images lie apart. Every image has its value whatever the others of its batch are, so that held-out
real images can be measured in the same way and say which values are usual. It knows nothing of files or of what is
kept.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch
from torch import Tensor

from ops.likeness.descriptors import Likenesses, Queries, describe, prepare
from ops.likeness.likeness import Alike, find_alike, measure_pairs
from ops.likeness.registration import UNRELATED
from ops.machine.parallel import start_threads

SPACED = 3  # the spacing of a real image is its mean distance to so many nearest others
SAME = 1e-3  # images nearer than that are one picture twice, which says nothing of how pictures are spaced
THOROUGH = 32  # candidates when spacings are measured, which is done once
WORTH = 0.9  # spacings: a pair that lies farther apart after the first step is no copy after the last either
CROWDED = 0.5  # of the real images' spacing is the least that many generated images between them leave
BATCH = 512


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
        """float32 [n], of the images `nearest`, int64 [n]; where that is -1, the spacing of unrelated images."""
        return np.append(self.spacing, np.float32(UNRELATED))[nearest]

    def find_alike(self, queries: Queries, other_than: np.ndarray | None = None) -> Alike:
        """The nearest of them to each query, but for the one that `other_than` int64 [n] names (-1: none)."""
        limits = WORTH * torch.from_numpy(self.spacing)
        return find_alike(queries, self.likenesses, other_than=other_than, within=lambda _, index: limits[index])


@dataclass(frozen=True, eq=False)
class Nearness:
    """One value per image.

    distance: float32 [n], 0 or more, relative; inf where there is nothing to compare with. nearest: int64 [n], whom it
    is measured to, -1 for nobody. exact: bool [n], every pixel is that one's.
    """

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
    distances = np.empty((len(images), 2 * SPACED), np.float32)

    def look_around(batch: slice) -> None:
        own = np.arange(len(images))[batch]
        found = find_alike(prepare(likenesses[batch]), likenesses, 2 * SPACED, other_than=own, candidates=THOROUGH)
        distances[batch] = found.distances

    with start_threads() as pool:
        list(pool.map(look_around, _batches(len(images))))
    return References(likenesses, _space(distances), rows, tuple(images.shape[1:]))


def find_distinct(images: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """The rows int64 [m] of uint8 images [n, C, H, W] that show another picture than all before them, and for each
    image the place int64 [n] of its picture among these."""
    first: dict[bytes, int] = {}
    rows: list[int] = []
    places = np.empty(len(images), np.int64)
    for row, digest in enumerate(_digest(images)):
        places[row] = first.setdefault(digest, len(rows))
        if places[row] == len(rows):
            rows.append(row)
    return np.array(rows, np.int64), places


def measure_copies(references: References, images: Tensor, *, other_than: np.ndarray | None = None) -> Nearness:
    """How near images uint8 [n, C, H, W] come to real ones of the same shape; ValueError for another.

    `other_than` int64 [n] names the real image that each is a variant of, which does not count (-1: none), unless
    the image has its very pixels.
    """
    _check(images, references.shape)
    result = _empty(len(images))
    for batch in _batches(len(images)):
        hidden = None if other_than is None else other_than[batch]
        found = references.find_alike(prepare(describe(images[batch])), hidden)
        _note_copies(result, batch, references, found, _digest(images[batch]))
    return result


def measure_parents(references: References, images: Tensor, parents: np.ndarray) -> np.ndarray:
    """How near images uint8 [n, C, H, W] come to the one real image that each is a variant of, `parents` int64 [n].

    float32 [n], relative to the spacing of the real images around the parent; 0 is the parent itself.
    """
    _check(images, references.shape)
    distance = np.empty(len(images), np.float32)
    for batch in _batches(len(images)):
        queries, own = prepare(describe(images[batch])), parents[batch]
        same = np.array([references.rows.get(digest, -1) for digest in _digest(images[batch])], np.int64) == own
        apart = measure_pairs(queries, references.likenesses, own) / references.spacing_of(own)
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
    """How near images uint8 [n, C, H, W] with labels int [n] come to those of `train`, of each of `others`, and to an
    earlier one of these and of the same label: the first two as `measure_copies`, in less time than one by one.

    `other_than` int64 [n] are the images of `train` that do not count, as `measure_copies` has it.
    `earlier` images, if any, come before all of these; `nearest` counts them first. What comes later changes nothing.
    A repeat's distance is relative to how closely images lie there: the rough distance to the fifth nearest of the
    earlier ones or of `train`, whichever is less, so that a value means the same among few images and among many; but
    at least CROWDED times the spacing of the nearest of `train`, so that a crowd of one picture is not taken for the
    usual. Labels are done side by side, a thread each; memory holds 2.3 KB (28x28x1) for each image of those labels.
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
        """All images of a label, in order; each writes its own rows of the results."""
        old, new = np.flatnonzero(known == label), np.flatnonzero(labels == label)
        members = np.concatenate([old, len(before) + new])
        seen = _Earlier(before[torch.from_numpy(old)], len(members))
        for batch in _batches(len(new)):
            rows = new[batch]
            part = images[torch.from_numpy(rows)]
            likenesses, digests = describe(part), _digest(part)
            queries = prepare(likenesses)
            hidden = None if other_than is None else other_than[rows]
            real = train.find_alike(queries, hidden)
            _note_copies(copies, rows, train, real, digests)
            for result, references in zip(leaks, others, strict=True):
                _note_copies(result, rows, references, references.find_alike(queries), digests)
            least, most = CROWDED * train.spacing_of(real.indices[:, 0]), real.around
            found, same = seen.follow(queries, likenesses, digests, least, most)
            spacing = np.maximum(np.minimum(found.around, most), least)
            nearest = found.indices[:, 0]
            _note(
                repeats,
                rows,
                found.distances[:, 0] / spacing,
                np.where(nearest >= 0, members[nearest], -1),
                np.where(same >= 0, members[same], -1),
            )

    with start_threads() as pool:
        list(pool.map(follow_label, np.unique(labels).tolist()))
    return copies, leaks, repeats


class _Earlier:
    """The images of one label, as they come."""

    def __init__(self, before: Tensor, count: int) -> None:
        blank = describe(before[:0])
        shapes = [getattr(blank, field.name) for field in fields(blank)]
        self._held = Likenesses(*(torch.empty(count, *part.shape[1:], dtype=part.dtype) for part in shapes))
        self._count = 0
        self._rows: dict[bytes, int] = {}
        for batch in _batches(len(before)):
            self._add(describe(before[batch]), _digest(before[batch]))

    def follow(
        self, queries: Queries, likenesses: Likenesses, digests: list[bytes], least: np.ndarray, most: np.ndarray
    ) -> tuple[Alike, np.ndarray]:
        """What is like each of the next images among those before it, and which of these has its pixels, or -1.

        Their spacing, which says what is worth all steps of registration, lies between `least` and `most`, float [n].
        """

        def set_limits(around: Tensor, _: Tensor) -> Tensor:
            spacing = torch.minimum(around, torch.from_numpy(most)).maximum(torch.from_numpy(least))
            return WORTH * spacing[:, None]

        own = self._count + np.arange(len(queries))
        first = self._add(likenesses, digests)
        found = find_alike(queries, self._held[: self._count], below=own, within=set_limits)
        return found, np.where(first < own, first, -1)

    def _add(self, likenesses: Likenesses, digests: list[bytes]) -> np.ndarray:
        end = self._count + len(likenesses)
        for field in fields(likenesses):
            getattr(self._held, field.name)[self._count : end] = getattr(likenesses, field.name)
        first = [self._rows.setdefault(digest, self._count + i) for i, digest in enumerate(digests)]
        self._count = end
        return np.array(first, dtype=np.int64)


def _note_copies(
    result: Nearness, rows: slice | np.ndarray, references: References, found: Alike, digests: list[bytes]
) -> None:
    nearest = found.indices[:, 0]
    same = np.array([references.rows.get(digest, -1) for digest in digests], dtype=np.int64)
    _note(result, rows, found.distances[:, 0] / references.spacing_of(nearest), nearest, same)


def _note(
    result: Nearness, rows: slice | np.ndarray, distance: np.ndarray, nearest: np.ndarray, same: np.ndarray
) -> None:
    """Into `rows` of the result; where an image has the same pixels as another, which `same` names, that is nearest."""
    result.exact[rows] = same >= 0
    result.distance[rows] = np.where(same >= 0, 0, distance)
    result.nearest[rows] = np.where(same >= 0, same, nearest)


def _space(distances: np.ndarray) -> np.ndarray:
    """The spacing float32 [n] from distances [n, k] to the nearest others, ascending."""
    apart = (distances > SAME) & np.isfinite(distances)
    counted = apart & (apart.cumsum(1) <= SPACED)
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
