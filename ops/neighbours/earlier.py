"""For each row the nearest earlier row of its group: what deduplication asks (SemDeDup, Abbas et al. 2023).

Earlier rows count whether or not they were themselves removed, so rows can be added later without a change to what
was found before. It knows nothing of the distance below which two rows are the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ops.neighbours.clusters import Clustering, search_clusters
from ops.neighbours.rows import Rows, Source, check_rows
from ops.neighbours.scan import Nearest
from ops.neighbours.search import search

LIMIT = 1_000_000  # rows of a group up to which the search is exact


@dataclass(frozen=True, eq=False)
class Earlier:
    """distances: float32 [n - since], inf for none. indices: int64 [n - since] into all rows, -1 for none.

    recalls: of the groups that were searched in clusters, by their number, the share of sampled rows whose exact
    nearest earlier row was found. A group that is not in it was searched exactly.
    """

    distances: np.ndarray
    indices: np.ndarray
    recalls: dict[int, float]


def find_earlier(
    rows: Source,
    groups: np.ndarray,
    *,
    since: int = 0,
    precision: str = "auto",
    limit: int = LIMIT,
    clustering: Clustering = Clustering(),  # noqa: B008 -- frozen
) -> Earlier:
    """The nearest earlier row of the same group, for each row from number `since` on.

    rows: [n, d] of any float type, a tensor, an array or a memory map, taken as float32. groups: int [n]. Distances,
    ties and precision are those of `find_nearest`. Exact for a group whose pairs are no more than those of `limit`
    rows; a larger one is searched in clusters, which may miss a nearest row and says how often (`recalls`).
    ValueError for other shapes or types, for values that are not finite or beyond ±1e12, for a `since` outside 0..n.
    """
    check_rows(rows, "rows")
    groups = np.asarray(groups)
    if groups.shape != (len(rows),) or groups.dtype.kind not in "iu":
        raise ValueError(f"groups are {groups.dtype} {list(groups.shape)}; {len(rows)} rows need as many integers")
    if not 0 <= since <= len(rows):
        raise ValueError(f"since is {since}; allowed: 0 to {len(rows)}")
    distances, indices = np.full(len(rows) - since, np.inf, np.float32), np.full(len(rows) - since, -1, np.int64)
    recalls = {}
    for members in split_groups(groups):
        first = int(np.searchsorted(members, since))
        if first == len(members):
            continue
        group = Rows(rows, members)
        if count_pairs(first, len(members)) > count_pairs(0, limit):
            nearest, recall = search_clusters(group, first, clustering, precision=precision)
            recalls[int(groups[members[0]])] = recall
        else:
            nearest = search_earlier(group, np.arange(first, len(members)), precision=precision)
        found, index = nearest.distances[:, 0], nearest.indices[:, 0]
        distances[members[first:] - since] = found
        indices[members[first:] - since] = np.where(index >= 0, members[index], -1)
    return Earlier(distances, indices, recalls)


def search_earlier(group: Rows, positions: np.ndarray, *, precision: str) -> Nearest:
    """The nearest row of the group before each position int64 [q], which rise: arrays [q, 1]."""
    nearest = Nearest.none(len(positions), 1)
    search(group.select(positions), group, nearest, ends=positions, precision=precision)
    return nearest


def split_groups(groups: np.ndarray) -> Iterator[np.ndarray]:
    """The rows of each group, rising."""
    order = np.argsort(groups, kind="stable")
    yield from np.split(order, np.flatnonzero(np.diff(groups[order])) + 1) if len(order) else ()


def count_pairs(first: int, count: int) -> int:
    """Pairs of each row from `first` to `count` with those before it."""
    return (count * (count - 1) - first * (first - 1)) // 2
