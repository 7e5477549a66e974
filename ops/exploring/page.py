"""Write the page: index.html with its style and scripts, facts.js, columns/ and sheets/.

Everything is a plain file beside index.html; nothing is asked for from elsewhere. The page is built in a folder of its
own and appears by one rename, so an old page stays whole until then. Columns of all images are in memory, 0.7 KB
an image at the peak; of pixels only a batch is.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from ops.datasets.index import locate_rows
from ops.datasets.png import decode_png
from ops.datasets.shards import find_shards, iterate_images
from ops.datasets.unlabelled import find_growing
from ops.errors import UserError
from ops.exploring.columns import Column, to_script, write_columns
from ops.exploring.facts import collect_facts
from ops.exploring.rows import NEIGHBOURS, Rows, collect_rows
from ops.exploring.sheets import Layout, plan_layout, write_sheets
from ops.exploring.siblings import MOST, find_siblings
from ops.files.manifests import read_manifest
from ops.files.storage import read_json, replace_folder, write_json, write_text
from ops.files.unfinished import unfinished
from ops.filters.results import read_results
from ops.machine.progress import Progress, Sink, ignore
from ops.stages.several import count_generators

ASSETS = Path(__file__).parent / "page-files"
START = "index.html"
BUILT_FROM = "built_from.json"
VERSION = 1  # of facts, columns and sheets; raised when the same data gives others
STAGES = ("real_images", "expansion_plan", "generated_images", "accepted_images")


@dataclass(frozen=True)
class Page:
    """The written page: its first file, its rows, its bytes, and whether it was there already."""

    path: Path
    rows: int
    bytes: int
    reused: bool


def write_page(
    inputs: Mapping[str, Path],
    target: Path,
    expansion: str,
    cache: Path,
    *,
    sink: Sink = ignore,
    report_every: float = 2.0,
) -> Page:
    """Write the page of an expansion to `target`, a new or empty folder or an earlier page.

    `inputs` are the folders of STAGES, checked by the caller. The training images' nearest others are kept in `cache`.
    A page of the same data is left as it is. UserError for a target that holds anything else.
    """
    inputs = {**inputs, "real_images": find_growing(inputs["real_images"])}
    contents = {stage: read_manifest(inputs[stage])["content"] for stage in STAGES}
    identity = {"version": VERSION, "page": _hash_assets(), "expansion": expansion, "contents": contents}
    check_target(target)
    if (built := _read_built(target)) and built["identity"] == identity:
        return Page(target / START, built["rows"], built["bytes"], True)
    sink("explore: reading the scores")
    results = read_results(inputs["accepted_images"], inputs["expansion_plan"])
    notes = ["Test images are not shown, so that nobody tunes anything by looking at them."]
    generators = count_generators(inputs["generated_images"])
    if generators > 1:
        notes.append(f"Generated images are those of generator 0 of {generators}, whose set is published.")
    rows = collect_rows(results, inputs, _find_siblings(inputs, cache, notes, sink, report_every))
    with unfinished(target) as folder:
        progress = Progress(sink, "explore", len(rows), "images", interval=report_every)
        layout, size = _write_pixels(folder / "sheets", rows, progress)
        if layout.shrunk:
            notes.append(
                f"Images of {layout.image_width} × {layout.image_height} pixels are shown averaged down to"
                f" {layout.width} × {layout.height}."
            )
        sink("explore: writing the scores")
        size += write_columns(folder / "columns", list_columns(rows))
        facts = to_script(collect_facts(expansion, rows, results, layout, notes))
        write_text(folder / "facts.js", f"explore.describe({facts})\n")
        for asset in ASSETS.iterdir():
            shutil.copyfile(asset, folder / asset.name)
        write_json(folder / BUILT_FROM, {"identity": identity, "rows": len(rows), "bytes": size})
        check_target(target)  # another command may have written there meanwhile
        replace_folder(folder, target)
    return Page(target / START, len(rows), size, False)


def check_target(target: Path) -> None:
    """UserError unless `target` is a new or empty folder, or an earlier page, which may be replaced."""
    if target.exists() and not target.is_dir():
        raise UserError(f"{target} is a file; name a new or an empty folder")
    if target.is_dir() and any(target.iterdir()):
        known = {asset.name for asset in ASSETS.iterdir()} | {"facts.js", "columns", "sheets", BUILT_FROM}
        if _read_built(target) is None or {path.name for path in target.iterdir()} - known:
            raise UserError(f"{target} holds other files; name a new or an empty folder, or an earlier page")


def _hash_assets() -> str:
    """Of the page's own files: an older Growset's page is written again."""
    parts = (asset.read_bytes() for asset in sorted(ASSETS.iterdir()))
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


def _read_built(target: Path) -> dict[str, Any] | None:
    """What an earlier page was built from; None if there is none."""
    path = target / BUILT_FROM
    return read_json(path) if path.is_file() else None


def _find_siblings(
    inputs: Mapping[str, Path], cache: Path, notes: list[str], sink: Sink, report_every: float
) -> pl.DataFrame | None:
    """The training images' nearest others; None if there are too many or too few, which a note says."""
    shards = find_shards(inputs["real_images"], "train")
    train = len(locate_rows(shards))
    if train > MOST:
        notes.append(f"Training images have no nearest image here, because there are more than {MOST:,}.")
    if not 1 < train <= MOST:
        return None
    # The distance is that of the scores, and their stage's version is raised when it changes.
    real, generated = (read_manifest(inputs[stage]) for stage in ("real_images", "generated_images"))
    cached = cache / f"{real['content']}-{generated['version']}.parquet"
    return find_siblings(shards, cached, sink=sink, report_every=report_every)


def list_columns(rows: Rows) -> list[Column]:
    """The columns that the page loads."""
    frame = rows.frame
    none = np.iinfo(np.uint16).max
    return [
        Column("kind", "u8", frame["kind"]),
        Column("label", "u16", frame["label"]),
        Column("reasons", "u16", frame["reasons"]),
        Column("predicted", "u16", frame["predicted"].fill_null(none)),
        *(Column(name, "i32", frame[name]) for name in NEIGHBOURS),
        *(Column(name, "f32", frame[name]) for name in rows.scores),
        Column("image_id", "text", frame["image_id"]),
    ]


def _write_pixels(folder: Path, rows: Rows, progress: Progress) -> tuple[Layout, int]:
    """The sheets of all images, in the order of the rows; the layout, and the bytes written."""
    batches = _read_pixels([path for split in rows.splits.values() for path in split], progress)
    first = next(batches)
    layout = plan_layout(*first.shape[1:3])

    def all_batches() -> Iterator[np.ndarray]:
        yield first
        yield from batches

    return layout, write_sheets(folder, layout, all_batches())


def _read_pixels(paths: Sequence[Path], progress: Progress) -> Iterator[np.ndarray]:
    """All images in batches, uint8 [n, H, W, C]."""
    done = 0
    for path in paths:
        for first, payloads in iterate_images(path):
            images = decode_png(payloads, where=str(path), first_row=first)
            yield images
            done += len(images)
            progress.update(done)
