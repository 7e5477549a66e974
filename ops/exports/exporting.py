"""Run one export: check everything, write beside the target, and put it in place by one rename.

Existing files are never overwritten or deleted, except the unfinished files of an earlier export to the same target.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl

from ops.errors import UserError
from ops.exports.documents import write_documents
from ops.exports.formats import FORMATS
from ops.exports.published import ONLY, Only, open_published
from ops.files.unfinished import unfinished
from ops.machine.progress import Progress, Sink, ignore


@dataclass(frozen=True)
class Export:
    """The written export: images by split, number of files, and their bytes."""

    folder: Path
    format: str
    only: Only
    splits: dict[str, int]
    files: int
    bytes: int


def export_dataset(
    source: Path,
    target: Path,
    name: str,
    *,
    only: Only = "all",
    scores: pl.DataFrame | None = None,
    sink: Sink = ignore,
    report_every: float = 2.0,
) -> Export:
    """Write the published dataset in `source` to the new or empty folder `target` in the format `name`.

    `only` restricts the training images to `real`, or to `generated`, which also leaves out the other splits. `scores`
    are further values of images by `image_id`, for the format with room for them (`fiftyone`). The same dataset and
    scores give the same bytes. Raises UserError for an unknown format or choice, an invalid target, or a dataset that
    the format cannot hold; otherwise as `open_published`. After an error `target` is unchanged.
    """
    if name not in FORMATS:
        raise UserError(f"there is no export format '{name}'; there are: {', '.join(FORMATS)}")
    if only not in ONLY:
        raise UserError(f"'{only}' is not a part of a dataset; there are: {', '.join(ONLY)}")
    form = FORMATS[name]
    target = target.resolve()
    check_target(target, source.resolve())
    dataset = open_published(source, only)
    form.check(dataset)
    progress = Progress(sink, "export", sum(dataset.counts.values()), "images", interval=report_every)
    done = 0

    def advance(rows: int) -> None:
        nonlocal done
        done += rows
        progress.update(done)

    progress.begin(0)
    with staged(target, source.resolve()) as folder:
        form.write(replace(dataset, advance=advance, scores=scores), folder)
        write_documents(dataset, folder, as_published=form.is_parquet)
        sizes = [path.stat().st_size for path in folder.rglob("*") if path.is_file()]
    return Export(target, name, only, dict(dataset.counts), len(sizes), sum(sizes))


def check_target(target: Path, source: Path) -> None:
    """UserError unless `target` is a new or empty folder outside of `source`; both are absolute."""
    if target.is_relative_to(source):
        raise UserError(f"{target} lies in the dataset itself; name a folder outside of {source}")
    if target.exists() and not target.is_dir():
        raise UserError(f"{target} is a file; name a new or an empty folder")
    if target.is_dir() and any(target.iterdir()):
        raise UserError(f"{target} is not empty; name a new or an empty folder")
    if os.path.ismount(target):
        raise UserError(f"{target} is a mount point; name a folder in it")
    above = next(parent for parent in target.parents if parent.exists())
    if not above.is_dir():
        raise UserError(f"{above} is a file, so {target} cannot be a folder in it; name another")


@contextmanager
def staged(target: Path, source: Path) -> Iterator[Path]:
    """An empty folder that becomes `target` at the end of the block, or is deleted if the block fails. Both absolute.

    A second export to the same target is refused meanwhile.
    """
    with unfinished(target) as folder:
        check_target(target, source)  # another export may have finished meanwhile
        yield folder
        os.sync()  # all at once: syncing a million small files one by one takes hours
        os.rename(folder, target)  # replaces an empty folder, and nothing else
