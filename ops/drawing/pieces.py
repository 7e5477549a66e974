"""Fill the pieces of a generated set: who draws which image, in pieces that a crash cannot lose or repeat.

A piece is a run of consecutive rows of the finished dataset. It is written whole under a name that says which rows
it holds, so a re-run sees which pieces are missing and draws only those, whoever drew the others. What becomes of
the pieces is `assembly`'s business.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cache
from itertools import accumulate
from pathlib import Path
from typing import TypeVar

import numpy as np

from ops.files.storage import replace_file
from ops.generators.feeds import make_feeds
from ops.generators.onnx.engine import Sampler
from ops.generators.units import Run, Unit
from ops.machine.parallel import available_cores, map_processes, shared, worth_workers

T = TypeVar("T")

WORKER_SHARE = 500  # images that make a process worth starting
SMALLEST_PIECE, LARGEST_PIECE = 256, 4_096  # rows; a piece is redone when a crash interrupts it
PIECES = 256  # of a large set: few enough to be cheap to write, small enough to lose little
PIECE_BYTES = 2**25  # of pixels, at most


@dataclass(frozen=True)
class Draws:
    """The rows of a generated set: class by class, `counts[label]` draws of each, numbered from `firsts[label]`."""

    counts: tuple[int, ...]
    firsts: tuple[int, ...] | None = None  # 0 for every class

    def __len__(self) -> int:
        return sum(self.counts)

    @property
    def starts(self) -> list[int]:
        """The row where each class begins."""
        return list(accumulate(self.counts, initial=0))[:-1]

    def runs(self, begin: int, end: int) -> Iterator[tuple[int, int, int]]:
        """Rows `begin` .. `end - 1` as runs (label, first draw, number of draws)."""
        firsts = self.firsts or (0,) * len(self.counts)
        for label, (count, start, first) in enumerate(zip(self.counts, self.starts, firsts, strict=True)):
            low, high = max(begin, start), min(end, start + count)
            if low < high:
                yield label, first + low - start, high - low

    def rows(self, begin: int, end: int) -> tuple[np.ndarray, np.ndarray]:
        """Label and draw of each of the rows `begin` .. `end - 1`: two int64 [end - begin]."""
        runs = list(self.runs(begin, end))
        labels = [np.full(count, label, np.int64) for label, _, count in runs]
        ks = [np.arange(first, first + count) for _, first, count in runs]
        empty = [np.empty(0, np.int64)]
        return np.concatenate(empty + labels), np.concatenate(empty + ks)


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


def piece_size(rows: int, image_bytes: int) -> int:
    """Rows of a piece: a function of the set alone, because pieces of two sizes do not fit together."""
    size = min(max(rows // PIECES, SMALLEST_PIECE), LARGEST_PIECE)
    return max(1, min(size - size % SMALLEST_PIECE, PIECE_BYTES // image_bytes))


def cut_pieces(rows: int, size: int) -> list[Piece]:
    """All pieces in order."""
    return [Piece(begin, min(begin + size, rows)) for begin in range(0, rows, size)]


def cut_slices(pieces: Sequence[T], slices: int) -> list[list[T]]:
    """Pieces dealt out in turn, so that slices cost the same; empty slices are left out."""
    return [list(pieces[i::slices]) for i in range(slices) if pieces[i::slices]]


def missing_pieces(folder: Path, pieces: Sequence[Piece]) -> list[Piece]:
    """Those that are not written yet."""
    return [piece for piece in pieces if not (folder / piece.file_name).exists()]


def fill_pieces(
    folder: Path,
    pieces: Sequence[Piece],
    sampler: Path,
    *,
    draws: Draws,
    seed: int,
    provider: str,
    workers: int,
    batch_size: int,
) -> Iterator[Piece]:
    """Draw the missing pieces with one single-threaded process per worker; yields each as it is written.

    On a GPU one process drives the device.
    """
    folder.mkdir(parents=True, exist_ok=True)
    share = {
        "folder": folder,
        "sampler": sampler,
        "draws": draws,
        "seed": seed,
        "provider": provider,
        "batch_size": batch_size,
    }
    missing = missing_pieces(folder, pieces)
    workers = 1 if provider == "cuda" else worth_workers(workers, sum(map(len, missing)), WORKER_SHARE)
    yield from map_processes(_draw_piece, missing, workers=workers, share=share, uses_torch=False)


def draw_rows(begin: int, end: int, draws: Draws, sampler: Sampler, seed: int, *, feed_threads: int = 0) -> np.ndarray:
    """The images of rows `begin` .. `end - 1`, uint8 [n, H, W, C].

    Feeds are made batch by batch; with `feed_threads` they are made ahead, which a GPU would otherwise wait for.
    """
    channels, height, width = sampler.info.shape
    images = np.empty((end - begin, height, width, channels), np.uint8)
    batches = [(at, min(at + sampler.batch_size, end)) for at in range(begin, end, sampler.batch_size)]

    def feed(batch: tuple[int, int]) -> dict[str, np.ndarray]:
        info = sampler.info
        runs = [Run(Unit(info.class_names[label], label), first, count) for label, first, count in draws.runs(*batch)]
        return make_feeds(info.inputs, info.shape, runs, seed=seed)

    with ThreadPoolExecutor(feed_threads) if feed_threads else nullcontext() as pool:
        for (at, until), feeds in zip(batches, pool.map(feed, batches) if pool else map(feed, batches), strict=True):
            images[at - begin : until - begin] = sampler.draw(feeds)
    return images


@cache
def _open_sampler(path: Path, written: int, provider: str, batch_size: int) -> Sampler:
    """One session per file and worker; `written` is the file's time, so that a new export is a new session."""
    return Sampler(path, provider=provider, batch_size=batch_size)


def _draw_piece(piece: Piece) -> Piece:
    folder: Path = shared("folder")
    sampler = _open_sampler(
        shared("sampler"), shared("sampler").stat().st_mtime_ns, shared("provider"), shared("batch_size")
    )
    threads = available_cores() if shared("provider") == "cuda" else 0
    images = draw_rows(piece.begin, piece.end, shared("draws"), sampler, shared("seed"), feed_threads=threads)
    with replace_file(folder / piece.file_name) as temporary, temporary.open("wb") as file:
        np.save(file, images, allow_pickle=False)
    return piece
