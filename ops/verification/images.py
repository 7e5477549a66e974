"""Check every row of every pixel dataset: its PNG decodes, its id matches its content, its label has a class.

One process examines a part of a shard. It returns the rows with a hash of each image's pixels, so that other checks
compare images without opening them again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from ops.datasets.identity import content_ids
from ops.datasets.pixels import ROW_SCHEMA
from ops.datasets.png import decode_png
from ops.datasets.shards import find_shards, iterate_batches, iterate_images, list_groups, read_class_names
from ops.datasets.unlabelled import find_growing
from ops.errors import DamagedData, UserError
from ops.files.manifests import PUBLISHED
from ops.files.outputs import DATA, GENERATED
from ops.machine.parallel import map_processes, worth_workers
from ops.sources.listing import SPLITS
from ops.verification.findings import Finding, Subject

PLACES = {"real_images": ("", SPLITS), "generated_images": ("", (GENERATED,)), PUBLISHED: (DATA, SPLITS)}
SCHEMA = pl.Schema([*ROW_SCHEMA.items(), ("row", pl.Int64()), ("shard", pl.String()), ("digest", pl.String())])
_BATCH_BYTES = 2**24
_WORKER_SHARE = 50_000  # images per process; for fewer, starting it takes longer than it saves
_PIECE_GROUPS = 8  # row groups of at most 4,096 images each


@dataclass(frozen=True)
class Examined:
    """The readable rows of one output in stored order.

    rows: the columns of ROW_SCHEMA, `row` within `shard` (a file name), and `digest`, the content id of the pixels.
    class_names: None if the output has no shards.
    """

    rows: pl.DataFrame
    class_names: tuple[str, ...] | None


def examine_images(
    subject: Subject, *, workers: int, advance: Callable[[int], None] = lambda images: None
) -> tuple[dict[str, Examined], list[Finding]]:
    """The rows of each undamaged pixel dataset, by output, and the faults in rows of all. `advance` is called with the
    number of images done."""
    findings: list[Finding] = []
    shards: dict[str, list[Path]] = {}
    for stage, (folder, prefixes) in PLACES.items():
        if stage not in subject.present:
            continue
        shards[stage] = []
        for prefix in prefixes:
            try:
                shards[stage] += find_shards(find_growing(subject.folder(stage)) / folder, prefix)
            except DamagedData as error:
                findings.append(Finding(subject.folder(stage) / folder, str(error), subject.restore))
    pieces = [
        piece
        for stage, paths in shards.items()
        for path in paths
        for piece in ([Piece(path, None, 0)] if stage in subject.damaged else _cut(path))
    ]
    size = sum(path.stat().st_size for paths in shards.values() for path in paths)
    workers = worth_workers(workers, size / 1_000, _WORKER_SHARE)
    done, frames = 0, {}
    for piece, rows, fault in map_processes(_examine, pieces, workers=workers, share={}, uses_torch=False):
        frames[piece] = rows
        if fault:
            findings.append(Finding(piece.path, fault, subject.restore))
        done += len(rows)
        advance(done)
    examined = {
        stage: Examined(
            pl.concat([pl.DataFrame(schema=SCHEMA), *(frames[piece] for piece in pieces if piece.path in paths)]),
            _find_names(paths),
        )
        for stage, paths in shards.items()
        if stage not in subject.damaged
    }
    return examined, sorted(findings, key=str)


@dataclass(frozen=True)
class Piece:
    """Row groups of one shard; `begin` is their first row. None: a damaged shard, of which only images are decoded."""

    path: Path
    groups: tuple[int, ...] | None
    begin: int


def _cut(path: Path) -> list[Piece]:
    """A shard in pieces of about a second's work. A shard with a broken footer is one piece; `_examine` reports it."""
    try:
        groups = list_groups(path)
    except (DamagedData, UserError):
        return [Piece(path, None, 0)]
    return [
        Piece(path, tuple(range(first, min(first + _PIECE_GROUPS, len(groups)))), groups[first][0])
        for first in range(0, len(groups), _PIECE_GROUPS)
    ]


def _find_names(shards: list[Path]) -> tuple[str, ...] | None:
    try:
        return read_class_names(shards[0]) if shards else None
    except (DamagedData, UserError):
        return None


def _examine(piece: Piece) -> tuple[Piece, pl.DataFrame, str | None]:
    """The rows up to the first faulty batch, and its fault or None; no rows for a damaged shard."""
    frames: list[pl.DataFrame] = [pl.DataFrame(schema=SCHEMA)]
    fault = None
    try:
        if piece.groups is None:
            for first, payloads in iterate_images(piece.path):
                decode_png(payloads, where=str(piece.path), first_row=first)
            return piece, frames[0], None
        names = read_class_names(piece.path)
        for rows in _read_rows(piece.path, piece.groups, piece.begin):
            frames.append(rows)
            if fault := _find_fault(rows, len(names or ())):
                break
    except (DamagedData, UserError) as error:
        fault = str(error).removeprefix(str(piece.path)).lstrip(":, ")
    return piece, pl.concat(frames), fault


def _read_rows(path: Path, groups: tuple[int, ...], begin: int) -> Iterator[pl.DataFrame]:
    columns = ["image", *ROW_SCHEMA]
    for batch in iterate_batches(path, columns, batch_bytes=_BATCH_BYTES, groups=groups):
        rows = pl.DataFrame(batch.select(list(ROW_SCHEMA)))
        if rows.schema != ROW_SCHEMA:
            raise DamagedData(f"{path}: the columns are {dict(rows.schema)}; allowed: {dict(ROW_SCHEMA)}")
        images = decode_png(batch.column("image").flatten()[0], where=str(path), first_row=begin)
        yield rows.with_columns(
            pl.int_range(begin, begin + len(rows), dtype=pl.Int64).alias("row"),
            pl.lit(path.name).alias("shard"),
            pl.Series("digest", content_ids(images), pl.String),
        )
        begin += len(rows)


def _find_fault(rows: pl.DataFrame, classes: int) -> str | None:
    """The first fault that a row shows by itself, without comparison with other data."""
    content = pl.col("image_id").str.split("-").list.first()
    wrong = rows.select(
        "row",
        label=pl.col("label").is_null() | ~pl.col("label").is_between(0, classes - 1),
        lost=pl.any_horizontal(pl.col("image_id", "split", "is_generated").is_null()),
        content=~pl.col("is_generated") & (content != pl.col("digest")),
        weight=pl.col("weight").is_not_null() & ~(pl.col("weight").is_finite() & (pl.col("weight") > 0)),
    )
    for column, what in (
        ("lost", "has no image_id, split or kind"),
        ("label", f"has a label outside the {classes} classes"),
        ("content", "has an image whose content does not match its image_id"),
        ("weight", "has a weight that is not finite and positive"),
    ):
        found = wrong.filter(pl.col(column).fill_null(True))
        if len(found):
            return f"{what}, in row {found['row'][0]}"
    return None
