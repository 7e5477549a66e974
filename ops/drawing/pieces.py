"""Draw a generated set piece by piece, so that a crash neither loses nor repeats a finished piece.

A piece is a range of consecutive rows of the finished dataset. It is written whole, under a name made of its rows, so
a re-run sees which pieces are missing and draws only those. This module does not know what the pieces are for;
`assembly` does.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import accumulate
from pathlib import Path
from typing import TypeVar

import numpy as np

from ops.drawing.records import write_records
from ops.drawing.stored_seeds import StoredSeeds
from ops.files.storage import replace_file
from ops.generators.drawers import Drawer, DrawerSpec, RecordingDrawer
from ops.generators.feeds import make_feeds
from ops.generators.units import Run, Unit
from ops.machine.parallel import available_cores, map_processes, shared, worth_workers

T = TypeVar("T")

WORKER_SHARE = 500  # images from which on one more worker process pays off
SMALLEST_PIECE, LARGEST_PIECE = 256, 4_096  # rows; a crash costs at most the pieces being drawn
PIECES = 256  # pieces of a large set: few enough to be cheap to write, small enough to lose little
PIECE_BYTES = 2**25  # largest size of a piece's pixels


@dataclass(frozen=True)
class Draws:
    """The rows of a generated set, unit by unit: `counts[i]` draws of `units[i]`, numbered from `firsts[i]`."""

    units: tuple[Unit, ...]
    counts: tuple[int, ...]
    firsts: tuple[int, ...] | None = None  # None: 0 for every unit

    def __len__(self) -> int:
        return sum(self.counts)

    @cached_property
    def starts(self) -> list[int]:
        """The row where each unit begins."""
        return list(accumulate(self.counts, initial=0))[:-1]

    @cached_property
    def labels(self) -> np.ndarray:
        """The label of each unit, int64."""
        return np.array([unit.label for unit in self.units], np.int64)

    def runs(self, begin: int, end: int) -> list[Run]:
        """Rows `begin` .. `end - 1` as runs of one unit each."""
        return [Run(self.units[place], first, count) for place, first, count in self._cut(begin, end)]

    def rows(self, begin: int, end: int) -> tuple[np.ndarray, np.ndarray]:
        """For rows `begin` .. `end - 1`: the unit's place in `units` and the draw's number; two int64 [end - begin]."""
        cut = list(self._cut(begin, end))
        places = [np.full(count, place, np.int64) for place, _, count in cut]
        ks = [np.arange(first, first + count) for _, first, count in cut]
        empty = [np.empty(0, np.int64)]
        return np.concatenate(empty + places), np.concatenate(empty + ks)

    def _cut(self, begin: int, end: int) -> Iterator[tuple[int, int, int]]:
        """The rows as (place of the unit, first draw, number of draws)."""
        place = max(0, bisect_right(self.starts, begin) - 1)
        while place < len(self.units) and self.starts[place] < end:
            start, count = self.starts[place], self.counts[place]
            low, high = max(begin, start), min(end, start + count)
            if low < high:
                yield place, (self.firsts[place] if self.firsts else 0) + low - start, high - low
            place += 1


@dataclass(frozen=True, order=True)
class Piece:
    """Rows `begin` .. `end - 1`."""

    begin: int
    end: int

    def __len__(self) -> int:
        return self.end - self.begin

    @property
    def file_name(self) -> str:
        return f"{self.begin:010d}-{self.end:010d}.npy"

    @property
    def record_name(self) -> str:
        """Of the file that says how its images came about, where the drawer records it."""
        return f"{self.begin:010d}-{self.end:010d}.parquet"


def piece_size(rows: int, image_bytes: int, smallest: int | None = None) -> int:
    """Rows of a piece: a multiple of `smallest`, if they fit. It depends on the set and its drawer alone, because a
    re-run can only reuse pieces of the same size."""
    smallest = smallest or SMALLEST_PIECE
    size = min(max(rows // PIECES, smallest), LARGEST_PIECE)
    return max(1, min(size - size % smallest, PIECE_BYTES // image_bytes))


def cut_pieces(rows: int, size: int) -> list[Piece]:
    """All pieces in order."""
    return [Piece(begin, min(begin + size, rows)) for begin in range(0, rows, size)]


def cut_slices(pieces: Sequence[T], slices: int) -> list[list[T]]:
    """Deal the pieces out in turn, so that slices cost about the same; empty slices are left out."""
    return [list(pieces[i::slices]) for i in range(slices) if pieces[i::slices]]


def missing_pieces(folder: Path, pieces: Sequence[Piece]) -> list[Piece]:
    """The pieces that are not written yet."""
    return [piece for piece in pieces if not (folder / piece.file_name).exists()]


def fill_pieces(
    folder: Path,
    pieces: Sequence[Piece],
    drawer: DrawerSpec,
    *,
    draws: Draws,
    seed: int,
    provider: str,
    workers: int,
    batch_size: int,
    seeds: StoredSeeds | None = None,
    worker_share: int | None = None,
) -> Iterator[Piece]:
    """Draw the missing pieces with one single-threaded process per worker; yields each as it is written.

    On a GPU one process drives the device. `seeds` holds the parents of variants. `worker_share` : images from which
    on one more process pays off; None: as for an exported sampler.
    """
    folder.mkdir(parents=True, exist_ok=True)
    share = {
        "folder": folder,
        "drawer": drawer,
        "draws": draws,
        "seed": seed,
        "provider": provider,
        "batch_size": batch_size,
        "seeds": seeds,
    }
    missing = missing_pieces(folder, pieces)
    workers = 1 if provider == "cuda" else worth_workers(workers, sum(map(len, missing)), worker_share or WORKER_SHARE)
    try:
        yield from map_processes(_draw_piece, missing, workers=workers, share=share, uses_torch=drawer.uses_torch)
    finally:  # one worker is this process, which does other things next
        _open_drawer.cache_clear()


def draw_rows(
    begin: int,
    end: int,
    draws: Draws,
    drawer: Drawer,
    seed: int,
    *,
    seeds: StoredSeeds | None = None,
    feed_threads: int = 0,
    record: Callable[[Mapping[str, np.ndarray]], None] | None = None,
) -> np.ndarray:
    """The images of rows `begin` .. `end - 1`, uint8 [n, H, W, C].

    Feeds are made batch by batch; `feed_threads` threads make them ahead, so that a GPU does not wait for them.
    `record` gets each batch's columns from a drawer that records how its images came about.
    """
    info = drawer.info
    channels, height, width = info.shape
    images = np.empty((end - begin, height, width, channels), np.uint8)
    batches = [(at, min(at + drawer.batch_size, end)) for at in range(begin, end, drawer.batch_size)]
    loaded = None if seeds is None else seeds.load([run.unit for run in draws.runs(begin, end)])

    def feed(batch: tuple[int, int]) -> dict[str, np.ndarray]:
        return make_feeds(info.inputs, info.shape, draws.runs(*batch), seed=seed, seeds=loaded)

    with ThreadPoolExecutor(feed_threads) if feed_threads else nullcontext() as pool:
        for (at, until), feeds in zip(batches, pool.map(feed, batches) if pool else map(feed, batches), strict=True):
            if record is not None and isinstance(drawer, RecordingDrawer):
                images[at - begin : until - begin], columns = drawer.draw_recorded(feeds)
                record(columns)
            else:
                images[at - begin : until - begin] = drawer.draw(feeds)
    return images


@lru_cache(maxsize=1)
def _open_drawer(spec: DrawerSpec, written: int, provider: str, batch_size: int) -> Drawer:
    """A worker's drawer, the last one alone, because it may hold a GPU's memory.

    `written`, the file's time, makes a new export of the same name another one.
    """
    return spec.open(provider, batch_size)


def _draw_piece(piece: Piece) -> Piece:
    folder: Path = shared("folder")
    spec: DrawerSpec = shared("drawer")
    drawer = _open_drawer(spec, spec.path.stat().st_mtime_ns, shared("provider"), shared("batch_size"))
    threads = available_cores() if shared("provider") == "cuda" else 0
    recorded: list[Mapping[str, np.ndarray]] = []
    images = draw_rows(
        piece.begin,
        piece.end,
        shared("draws"),
        drawer,
        shared("seed"),
        seeds=shared("seeds"),
        feed_threads=threads,
        record=recorded.append,
    )
    if recorded:  # first, because a piece is done as soon as its pixels are there
        write_records(folder / piece.record_name, recorded)
    with replace_file(folder / piece.file_name) as temporary, temporary.open("wb") as file:
        np.save(file, images, allow_pickle=False)
    return piece
