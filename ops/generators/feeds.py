"""The inputs of a generator for given draws: one array for each input that its graph declares.

Noise, label and seed image of a draw follow from its unit, its number and the seed (design, contract 2), so any part
of a set can be drawn alone. This module knows the names of inputs, but no graph and no engine.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ops.generators.noise import draw_noise
from ops.generators.units import Run, Unit

NOISE, LABEL, IMAGE = "noise", "label", "image"
PARENT, NUMBER, SEED = "parent", "number", "seed"  # of drawers that draw noise of their own; no graph takes them

Feeds = Mapping[str, np.ndarray]
"""An array of n rows by input: noise float32 [n, C, H, W], label int64 [n], image (a seed image) uint8 [n, H, W, C];
parent (the seed image's id) str [n], number (k) int64 [n] and seed (of the noise, the same in all rows) int64 [n]."""


@dataclass(frozen=True, eq=False)
class SeedImages:
    """Real images that variants are made of: uint8 [n, H, W, C], unique ids and labels int [n]."""

    images: np.ndarray
    ids: Sequence[str]
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.images)

    @cached_property
    def places(self) -> dict[str, int]:
        """The row of each id."""
        return {name: row for row, name in enumerate(self.ids)}

    def find_parents(self, runs: Sequence[Run]) -> np.ndarray:
        """The row of each draw's parent, int64 [n]; KeyError for an unknown parent."""
        rows = [self.places[run.unit.parent or ""] for run in runs]
        return np.repeat(_as_int64(rows), _as_int64([run.count for run in runs]))


def make_feeds(
    inputs: Sequence[str],
    shape: tuple[int, int, int],
    runs: Sequence[Run],
    *,
    seed: int,
    seeds: SeedImages | None = None,
) -> dict[str, np.ndarray]:
    """The arrays of `inputs`, one row for each draw, in the order of the runs.

    Parameters
    ----------
    inputs : some of noise, label and image, as a graph declares them, or of the others, as a drawer does.
    shape : (C, H, W) of an image.
    seeds : the parents of the runs' units; needed only for the input image.

    Raises
    ------
    ValueError : for another input, or for the input image without seed images.
    KeyError : for a parent that is not among the seed images.
    """
    feeds, counts = {}, _as_int64([run.count for run in runs])
    for name in inputs:
        if name == NOISE:
            feeds[name] = _draw_noise(shape, runs, seed)
        elif name == LABEL:
            feeds[name] = np.repeat(_as_int64([run.unit.label for run in runs]), counts)
        elif name == PARENT:
            feeds[name] = np.repeat(np.array([run.unit.parent or "" for run in runs], str), counts)
        elif name == NUMBER:
            ks = [np.arange(run.first, run.first + run.count, dtype=np.int64) for run in runs]
            feeds[name] = np.concatenate([_as_int64([]), *ks])
        elif name == SEED:
            feeds[name] = np.full(counts.sum(), seed, np.int64)
        elif name == IMAGE and seeds is not None:
            feeds[name] = seeds.images[seeds.find_parents(runs)]
        else:
            raise ValueError(f"input '{name}' cannot be fed" + (" without seed images" if name == IMAGE else ""))
    return feeds


def spread_draws(key: str, labels: np.ndarray, seeds: SeedImages | None = None) -> list[Run]:
    """A draw for each of `labels` int [n]; draw i has the i-th noise of `key`.

    Such draws measure a generator and are not kept, so `key` need not name a class or an image. With seed images, draw
    i is a variant of a seed image of label labels[i]; those of a label take turns. ValueError for a label without one.
    """
    if seeds is None:
        return [Run(Unit(key, int(label)), i) for i, label in enumerate(labels)]
    members = {int(label): np.flatnonzero(seeds.labels == label) for label in np.unique(labels)}
    if bare := [label for label, rows in members.items() if not len(rows)]:
        raise ValueError(f"there is no seed image of label {bare[0]}")
    taken = dict.fromkeys(members, 0)
    runs = []
    for i, label in enumerate(labels.tolist()):
        rows = members[label]
        runs.append(Run(Unit(key, label, seeds.ids[rows[taken[label] % len(rows)]]), i))
        taken[label] += 1
    return runs


def cut_feeds(feeds: Feeds, rows: slice) -> dict[str, np.ndarray]:
    """The given rows of every input."""
    return {name: array[rows] for name, array in feeds.items()}


def count_rows(feeds: Feeds) -> int:
    """The number of rows, which is the same for all inputs; ValueError if not."""
    counts = {name: len(array) for name, array in feeds.items()}
    if len(set(counts.values())) != 1:
        raise ValueError(f"inputs must have equally many rows; they have {counts}")
    return next(iter(counts.values()))


def _draw_noise(shape: tuple[int, int, int], runs: Sequence[Run], seed: int) -> np.ndarray:
    """The noise of the runs; consecutive runs of one key are drawn by one call."""
    joined: list[tuple[str, int, int]] = []  # key, first, count
    for run in runs:
        key, first, count = joined[-1] if joined else ("", 0, 0)
        if joined and key == run.unit.key and first + count == run.first:
            joined[-1] = (key, first, count + run.count)
        else:
            joined.append((run.unit.key, run.first, run.count))
    drawn = [draw_noise(shape, seed=seed, round_=0, unit=key, start=first, count=count) for key, first, count in joined]
    return np.concatenate([np.empty((0, *shape), np.float32), *drawn])


def _as_int64(values: Sequence[int]) -> np.ndarray:
    return np.asarray(values, np.int64)
