"""Fill the pieces of a generated set: who draws which image, in pieces that a crash cannot lose or repeat.

A piece is a run of consecutive draws of one class. It is written whole under a name that says what it
holds, so a re-run sees which pieces are missing and draws only those, whoever drew the others.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from ops.generators.draws import draw_noise
from ops.generators.engine import Sampler
from ops.parallel import map_processes, shared, worth_workers
from ops.storage import replace_file

WORKER_SHARE = 500  # images that make a process worth starting
PIECE_SIZE = 256  # draws; a piece is redone when a crash interrupts it


@dataclass(frozen=True)
class Piece:
    """Draws `start` .. `start + count - 1` of one class."""

    label: int
    start: int
    count: int

    @property
    def file_name(self) -> str:
        return f"{self.label:04d}-{self.start:09d}-{self.count}.npy"


def cut_pieces(drawn_per_class: Sequence[int], size: int = PIECE_SIZE) -> list[Piece]:
    """All pieces, class by class, in the order of the finished dataset."""
    return [
        Piece(label, start, min(size, drawn - start))
        for label, drawn in enumerate(drawn_per_class)
        for start in range(0, drawn, size)
    ]


def cut_slices(pieces: Sequence[Piece], slices: int) -> list[list[Piece]]:
    """Pieces dealt out in turn, so that slices cost the same; empty slices are left out."""
    return [list(pieces[i::slices]) for i in range(slices) if pieces[i::slices]]


def missing_pieces(folder: Path, pieces: Sequence[Piece]) -> list[Piece]:
    """Those that are not written yet."""
    return [piece for piece in pieces if not (folder / piece.file_name).exists()]


def fill_pieces(
    folder: Path, pieces: Sequence[Piece], sampler: Path, *, seed: int, provider: str, workers: int, batch_size: int
) -> Iterator[Piece]:
    """Draw the missing pieces with one single-threaded process per worker; yields each as it is written.

    On a GPU one process drives the device.
    """
    folder.mkdir(parents=True, exist_ok=True)
    share = {"folder": folder, "sampler": sampler, "seed": seed, "provider": provider, "batch_size": batch_size}
    missing = missing_pieces(folder, pieces)
    workers = 1 if provider == "cuda" else worth_workers(workers, sum(piece.count for piece in missing), WORKER_SHARE)
    yield from map_processes(_draw_piece, missing, workers=workers, share=share, uses_torch=False)


def draw_piece(piece: Piece, sampler: Sampler, seed: int) -> np.ndarray:
    """The images of one piece, uint8 [count, H, W, C]."""
    unit = sampler.info.class_names[piece.label]
    noise = draw_noise(sampler.info.shape, seed=seed, round_=0, unit=unit, start=piece.start, count=piece.count)
    return sampler(noise, np.full(piece.count, piece.label, np.int64))


def read_pieces(folder: Path, pieces: Sequence[Piece]) -> np.ndarray:
    """The images of all pieces in order, uint8 [n, H, W, C]."""
    return np.concatenate([np.load(folder / piece.file_name, allow_pickle=False) for piece in pieces])


@cache
def _open_sampler(path: Path, written: int, provider: str, batch_size: int) -> Sampler:
    """One session per file and worker; `written` is the file's time, so that a new export is a new session."""
    return Sampler(path, provider=provider, threads=1, batch_size=batch_size)


def _draw_piece(piece: Piece) -> Piece:
    folder: Path = shared("folder")
    sampler = _open_sampler(
        shared("sampler"), shared("sampler").stat().st_mtime_ns, shared("provider"), shared("batch_size")
    )
    images = draw_piece(piece, sampler, shared("seed"))
    with replace_file(folder / piece.file_name) as temporary, temporary.open("wb") as file:
        np.save(file, images, allow_pickle=False)
    return piece


def image_ids(pieces: Sequence[Piece], fingerprint: str) -> tuple[list[str], dict[str, Any]]:
    """Image ids `g<fingerprint start>-<label>-<k>` and the columns label, k of all draws in order."""
    labels = np.concatenate([np.full(piece.count, piece.label, np.int64) for piece in pieces])
    ks = np.concatenate([np.arange(piece.start, piece.start + piece.count) for piece in pieces])
    ids = [f"g{fingerprint[:8]}-{label:04d}-{k:07d}" for label, k in zip(labels, ks, strict=True)]
    return ids, {"label": labels, "k": ks}
