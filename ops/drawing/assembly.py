"""Turn pieces into a finished dataset while drawing goes on: a shard is written as soon as all its rows are drawn.

Memory holds one row group and the disk little more than the dataset, however many images there are. A piece is
deleted when all its rows lie in synced shards, so a crash at any moment loses nothing, and a re-run needs only the
pieces of the missing shards. This module does not know how pieces are drawn; `pieces` does.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import polars as pl

from ops.datasets.pixels import PixelDataset, Shard, build_rows, plan_shards, write_shard
from ops.datasets.shards import list_groups
from ops.drawing.pieces import Draws, Piece, cut_pieces, missing_pieces, piece_size
from ops.drawing.records import read_records
from ops.errors import DamagedData
from ops.files.outputs import GENERATED
from ops.generators.units import Unit


@dataclass(frozen=True)
class Assembly:
    """A generated set that is being made.

    Parameters
    ----------
    shape : (H, W, C) of an image.
    pieces_folder, out : where pieces and finished shards lie; a re-run resumes from them.
    id_prefix : image ids are `<id_prefix>-<label>-<draw>`, those of variants `<id_prefix>-<parent>-<draw>`.
    file_prefix : shards are `<file_prefix>-00000-of-00001.parquet` and on.
    round_ : the column `round` of every row.
    smallest : rows of a piece, at least; None: as for an exported sampler.
    """

    draws: Draws
    shape: tuple[int, int, int]
    class_names: tuple[str, ...]
    pieces_folder: Path
    out: Path
    id_prefix: str
    file_prefix: str = GENERATED
    round_: int = 0
    smallest: int | None = None

    def __len__(self) -> int:
        return len(self.draws)

    @property
    def image_bytes(self) -> int:
        """Bytes of one image's pixels."""
        height, width, channels = self.shape
        return height * width * channels

    @cached_property
    def pieces(self) -> list[Piece]:
        """All pieces of the set."""
        return cut_pieces(len(self), self.piece_size)

    @property
    def piece_size(self) -> int:
        """Rows of a piece."""
        return piece_size(len(self), self.image_bytes, self.smallest)

    def part(self, begin: int, end: int) -> PixelDataset:
        """Rows `begin` .. `end - 1`, read from their pieces."""
        images = np.empty((end - begin, *self.shape), np.uint8)
        for piece in _overlapping(self.pieces, begin, end):
            low, high = max(begin, piece.begin), min(end, piece.end)
            stored = self._open(piece)
            images[low - begin : high - begin] = stored[low - piece.begin : high - piece.begin]
        places, ks = self.draws.rows(begin, end)
        units = [self.draws.units[place] for place in places]
        rows = build_rows(
            self.draws.labels[places],
            [self.name_image(unit, k) for unit, k in zip(units, ks, strict=True)],
            split="train",
            is_generated=True,
            parent_ids=[unit.parent for unit in units],
            rounds=[self.round_] * len(units),
            ks=list(ks),
        )
        return PixelDataset(images, rows, self.class_names)

    def name_image(self, unit: Unit, k: int) -> str:
        """The id of a unit's draw."""
        return f"{self.id_prefix}-{unit.parent or f'{unit.label:04d}'}-{k:07d}"

    def read_records(self) -> pl.DataFrame:
        """How each image came about, in the order of the rows, from a drawer that records it, with its `image_id`.

        Records lie beside the pieces and stay there, so those of finished shards are there too. DamagedData if one is
        missing.
        """
        places, ks = self.draws.rows(0, len(self))
        ids = [self.name_image(self.draws.units[place], k) for place, k in zip(places, ks, strict=True)]
        found = read_records([self.pieces_folder / piece.record_name for piece in self.pieces])
        return found.insert_column(0, pl.Series("image_id", ids, pl.String))

    def shards(self) -> list[Shard]:
        """The files of the finished set."""
        return plan_shards(self.out, len(self), self.image_bytes, prefix=self.file_prefix)

    def missing(self) -> list[Piece]:
        """The pieces still to be drawn: those of unwritten shards that are not in `pieces_folder`."""
        unwritten = [shard for shard in self.shards() if not _is_written(shard)]
        pieces = self.pieces
        needed = {piece for shard in unwritten for piece in _overlapping(pieces, shard.begin, shard.end)}
        return missing_pieces(self.pieces_folder, sorted(needed))

    def drop_unrecorded(self) -> None:
        """Delete the pieces whose records are missing, and the shards with images of these, so that they are missing.

        For drawers that record; a piece's record is written before its pixels, and stays.
        """
        bare = {piece for piece in self.pieces if not (self.pieces_folder / piece.record_name).exists()}
        for piece in bare:
            (self.pieces_folder / piece.file_name).unlink(missing_ok=True)
        for shard in self.shards():
            if not bare.isdisjoint(_overlapping(self.pieces, shard.begin, shard.end)):
                shard.path.unlink(missing_ok=True)

    def write(self, draw: Callable[[Sequence[Piece]], Iterable[Piece]]) -> Iterator[Piece]:
        """Draw the missing pieces, yield each as it is drawn, and write every shard once its pieces are complete.

        A separate thread writes the shards, so a GPU or the worker processes are not held up.
        """
        self.out.mkdir(parents=True, exist_ok=True)
        pieces, missing = self.pieces, self.missing()
        absent = set(missing)
        waiting = [shard for shard in self.shards() if not _is_written(shard)]
        self._delete_finished(pieces, waiting)
        with ThreadPoolExecutor(1, "shards") as writer:
            writing: dict[Shard, Future[None]] = {}

            def advance() -> None:
                for shard in waiting:
                    if shard not in writing and absent.isdisjoint(_overlapping(pieces, shard.begin, shard.end)):
                        writing[shard] = writer.submit(write_shard, shard.path, self, begin=shard.begin, end=shard.end)
                for shard in [shard for shard, future in writing.items() if future.done()]:
                    writing.pop(shard).result()
                    waiting.remove(shard)
                    self._delete_finished(pieces, waiting)

            advance()
            for piece in draw(missing):
                absent.discard(piece)
                advance()
                yield piece
            for future in list(writing.values()):
                future.result()
            advance()

    def _open(self, piece: Piece) -> np.ndarray:
        path = self.pieces_folder / piece.file_name
        try:
            stored: np.ndarray = np.load(path, mmap_mode="r", allow_pickle=False)
        except (OSError, EOFError, ValueError) as error:
            raise DamagedData(f"{path} cannot be read ({error}); delete it, and it is drawn again") from None
        if stored.shape != (len(piece), *self.shape) or stored.dtype != np.uint8:
            raise DamagedData(f"{path} holds {stored.dtype} {list(stored.shape)}; delete it, and it is drawn again")
        return stored

    def _delete_finished(self, pieces: Sequence[Piece], waiting: Sequence[Shard]) -> None:
        """Delete the pieces that none of the `waiting` shards needs."""
        needed = {piece for shard in waiting for piece in _overlapping(pieces, shard.begin, shard.end)}
        for piece in pieces:
            if piece not in needed:
                (self.pieces_folder / piece.file_name).unlink(missing_ok=True)


def _overlapping(pieces: Sequence[Piece], begin: int, end: int) -> Sequence[Piece]:
    """The pieces that hold any of the rows `begin` .. `end - 1`; `pieces` are in order and without gaps."""
    first = bisect_right(pieces, begin, key=lambda piece: piece.begin) - 1
    last = bisect_right(pieces, end - 1, key=lambda piece: piece.begin)
    return pieces[max(0, first) : last] if begin < end else ()


def _is_written(shard: Shard) -> bool:
    """Whether the shard's file exists with all its rows; it appears by a rename, so it is never partial."""
    groups = list_groups(shard.path) if shard.path.exists() else None
    return groups is not None and (groups[-1][1] if groups else 0) == shard.end - shard.begin
