"""The nearest earlier row among millions: only in clusters near the row, with the share of misses measured.

SemDeDup (Abbas et al. 2023, section 3) compares within the clusters of k-means. Here each row is compared with the
rows of the few clusters nearest to it, because a pair of near copies can lie on both sides of a border. The search in
a cluster is exact; equal rows share a cluster and are never missed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ops.neighbours.rows import Rows
from ops.neighbours.scan import Nearest
from ops.neighbours.search import search

PART = 1 << 18  # rows that are assigned to clusters at once


@dataclass(frozen=True)
class Clustering:
    """clusters: how many; None for the number with the fewest distances. probes: clusters in which a row is searched.

    steps, batch: of minibatch k-means. sample: rows whose exact neighbour is found to measure the recall. seed: of
    k-means and the sample.
    """

    clusters: int | None = None
    probes: int = 4
    steps: int = 100
    batch: int = 16_384
    sample: int = 1_000
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("clusters", "probes", "steps", "batch", "sample"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} is {value}; it must be at least 1")

    def count(self, rows: int) -> int:
        """Clusters for so many rows: n·c distances to centres and p·n²/2c within clusters are fewest together."""
        wanted = round(math.sqrt(self.probes * rows / 2)) if self.clusters is None else self.clusters
        return max(1, min(wanted, rows))


def search_clusters(group: Rows, first: int, clustering: Clustering, *, precision: str) -> tuple[Nearest, float]:
    """The nearest earlier row of each row from `first` on, arrays [n - first, 1], as far as clusters show it.

    Also the recall: of a seeded sample of these rows, the share for which the distance found is the exact one.
    """
    positions = np.arange(first, len(group))
    centres = fit_centres(group, clustering, precision=precision)
    probes = assign(group, centres, min(clustering.probes, len(centres)), precision=precision)
    homes, asked = _split(probes[:, :1], len(centres)), _split(probes[first:], len(centres))
    nearest = Nearest.none(len(positions), 1)
    for home, some in zip(homes, asked, strict=True):
        if not len(home) or not len(some):
            continue
        own = Nearest.none(len(some), 1)
        ends = np.searchsorted(home, positions[some])
        search(group.select(positions[some]), group.select(home), own, ends=ends, precision=precision)
        found = np.where(own.indices >= 0, home[own.indices], -1)
        best, known = nearest.distances[some], nearest.indices[some]
        better = (own.distances < best) | ((own.distances == best) & (found >= 0) & (found < known))
        nearest.distances[some] = np.where(better, own.distances, best)
        nearest.indices[some] = np.where(better, found, known)
    rng = np.random.default_rng([clustering.seed, 2])
    sample = np.sort(rng.choice(len(positions), min(clustering.sample, len(positions)), replace=False))
    exact = Nearest.none(len(sample), 1)
    search(group.select(positions[sample]), group, exact, ends=positions[sample], precision=precision)
    return nearest, float((nearest.distances[sample] == exact.distances).mean())


def fit_centres(group: Rows, clustering: Clustering, *, precision: str) -> Tensor:
    """Centres float32 [c, d] by minibatch k-means (Sculley 2010), from random rows on; the seed decides all."""
    count = clustering.count(len(group))
    rng = np.random.default_rng([clustering.seed, 1])
    centres = group.take(np.sort(rng.choice(len(group), count, replace=False)))
    taken = torch.ones(count)
    for _ in range(clustering.steps):
        batch = group.take(np.sort(rng.integers(len(group), size=min(clustering.batch, len(group)))))
        home = torch.from_numpy(assign(Rows(batch), centres, 1, precision=precision)[:, 0]).long()
        found = torch.bincount(home, minlength=count)
        taken += found
        sums = torch.zeros_like(centres).index_add_(0, home, batch - centres[home])
        centres = centres + sums / taken[:, None]  # each centre is the mean of all that it was ever nearest to
    return centres


def assign(group: Rows, centres: Tensor, probes: int, *, precision: str) -> np.ndarray:
    """The nearest centres of each row, the nearest first: int32 [n, probes]."""
    assigned = np.empty((len(group), probes), np.int32)
    for start in range(0, len(group), PART):
        some = np.arange(start, min(start + PART, len(group)))
        nearest = Nearest.none(len(some), probes)
        ends = np.full(len(some), len(centres))
        search(group.select(some), Rows(centres), nearest, ends=ends, precision=precision)
        assigned[some] = nearest.indices
    return assigned


def _split(probes: np.ndarray, clusters: int) -> list[np.ndarray]:
    """For each cluster the rows that probe it, rising."""
    flat = probes.ravel()
    order = np.argsort(flat, kind="stable")
    ends = np.cumsum(np.bincount(flat, minlength=clusters))[:-1]
    return np.split(order // probes.shape[1], ends)
