"""Which images of a set show one picture: equal in every pixel, or nearly.

Near duplicates are found by `ops.likeness`: turned, scaled, moved, mirrored, brighter or noisy versions of a picture
lie near it, measured by the spacing of the images around. It knows splits and labels only to say where a group lies.

Symbols: d the likeness distance to the nearest other image, sigma the spacing there; near is d / sigma <= NEAR.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch

from ops.likeness.copies import average_spacing
from ops.likeness.descriptors import ImageDescriptors, describe, prepare
from ops.likeness.likeness import find_matches
from ops.machine.progress import Progress, Sink, ignore

NEAR = 0.3  # in spacings. Of images that show different pictures at most 1 % lie nearer, of altered copies most do
NEIGHBOURS = 6  # twice as many as a spacing needs, because some may show the same picture
LEAST_SPACING = 0.5  # in median spacings of the label: many versions of one picture do not pass for the usual spacing
BATCH = 512
Kind = Literal["exact", "near"]


@dataclass(frozen=True)
class Group:
    """Images that show one picture. rows: int, ascending, at least 2. distance: the largest link, in spacings.

    mirrored: whether some of them are mirror images of others.
    """

    kind: Kind
    rows: tuple[int, ...]
    distance: float
    mirrored: bool

    def spans(self, values: np.ndarray) -> bool:
        """Whether its images differ in `values` [n], which are splits or labels."""
        return len({values[row] for row in self.rows}) > 1


def find_exact(ids: Sequence[str]) -> list[Group]:
    """Groups of rows with equal content ids, in order of their first row."""
    rows: dict[str, list[int]] = {}
    for row, name in enumerate(ids):
        rows.setdefault(name, []).append(row)
    return [Group("exact", tuple(found), 0.0, False) for found in rows.values() if len(found) > 1]


def find_near(images: np.ndarray, labels: np.ndarray, ids: Sequence[str], *, sink: Sink = ignore) -> list[Group]:
    """Groups of near duplicates among uint8 images [n, H, W, C] with labels int [n], nearest first.

    Each picture takes part once, at the first row of its id. A group holds images that are linked by near pairs.
    """
    first = {name: row for row, name in reversed(list(enumerate(ids)))}
    rows = np.array(sorted(first.values()), np.int64)
    if len(rows) < 3:  # two images have no spacing but their own distance
        return []
    descriptors = describe(torch.from_numpy(np.ascontiguousarray(images[rows].transpose(0, 3, 1, 2))))
    distances, nearest = _search(descriptors, sink)
    relative = distances[:, 0] / _space(distances, labels[rows])[nearest]
    pairs = [
        (float(relative[one]), int(one), int(nearest[one]), _is_mirrored(descriptors, int(one), int(nearest[one])))
        for one in np.flatnonzero(relative <= NEAR)
    ]
    return _join(pairs, rows)


def _search(descriptors: ImageDescriptors, sink: Sink) -> tuple[np.ndarray, np.ndarray]:
    """Distances float32 [n, NEIGHBOURS] to the nearest others, ascending, and the nearest int64 [n]."""
    count = len(descriptors)
    distances, nearest = np.empty((count, NEIGHBOURS), np.float32), np.empty(count, np.int64)
    progress = Progress(sink, "compared", count, "images")
    for start in range(0, count, BATCH):
        batch = slice(start, min(count, start + BATCH))
        own = np.arange(batch.start, batch.stop)
        found = find_matches(prepare(descriptors[batch]), descriptors, NEIGHBOURS, other_than=own)
        distances[batch], nearest[batch] = found.distances, found.indices[:, 0]
        progress.update(batch.stop)
    return distances, nearest


def _space(distances: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """sigma float [n] at each image."""
    spacing = average_spacing(distances)
    medians = np.zeros(labels.max() + 1)
    for label in np.unique(labels):
        medians[label] = np.median(spacing[labels == label])
    return np.maximum(spacing, LEAST_SPACING * medians[labels])


def _is_mirrored(descriptors: ImageDescriptors, one: int, other: int) -> bool:
    """Whether one image is more like the mirror image of the other than like itself."""
    left, right = descriptors.pixels[one].float(), descriptors.pixels[other].float()
    return bool((left * right.flip(-1)).sum() > (left * right).sum())


def _join(pairs: Sequence[tuple[float, int, int, bool]], rows: np.ndarray) -> list[Group]:
    """Groups from near pairs (distance, place, place, mirrored)."""
    leader: dict[int, int] = {}

    def find(place: int) -> int:
        while leader.setdefault(place, place) != place:
            place = leader[place]
        return place

    for _, one, other, _ in pairs:
        leader[find(one)] = find(other)
    groups: dict[int, list[tuple[float, int, int, bool]]] = {}
    for pair in pairs:
        groups.setdefault(find(pair[1]), []).append(pair)
    found = []
    for linked in groups.values():
        members = sorted({int(rows[place]) for _, one, other, _ in linked for place in (one, other)})
        found.append(Group("near", tuple(members), max(pair[0] for pair in linked), any(pair[3] for pair in linked)))
    return sorted(found, key=lambda group: (group.distance, group.rows))
