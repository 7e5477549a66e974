"""Stage `real_images`: the source's images as a pixel dataset, one set of files per split.

Where the recipe names images without labels, a second dataset of all images, of one class, lies in a folder of its own:
what is expanded (`ops.datasets.unlabelled`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from ops.datasets.cross_validation import Pool, pool_splits
from ops.datasets.index import write_index
from ops.datasets.pixels import PixelDataset, write_shards
from ops.datasets.subset import Subset, change_splits
from ops.datasets.units import write_groups
from ops.datasets.unlabelled import FOLDER, gather, require_free_name, require_probe
from ops.errors import UserError
from ops.files.hashing import hash_json
from ops.files.manifests import MANIFEST, describe_part
from ops.files.outputs import CONTACT_SHEET, DRAWS
from ops.files.storage import write_json
from ops.pictures.sheets import rows_by_class, write_sheet
from ops.recipe.data import DataSettings
from ops.recipe.schema import Recipe
from ops.sources.equal_pictures import Dispute
from ops.sources.pool import adapt, count_pool, has_others, hash_pool, list_pool_files, read_pool
from ops.sources.reading import hash_files, hash_source, read_source
from ops.sources.remote import fetch_source
from ops.sources.spec import SourceSpec, load_source_spec
from ops.stages.materialization import StageRun
from ops.workspaces.workspace import Workspace, suggest


def describe_source(workspace: Workspace, recipe: Recipe) -> SourceSpec:
    """The recipe's source with a local path; a remote one is fetched first. UserError if it has no description."""
    return open_source(workspace, recipe.source)


def describe_unlabelled(workspace: Workspace, recipe: Recipe) -> SourceSpec | None:
    """The recipe's images without labels, converted as those of its source are; None if it names none."""
    if recipe.data.unlabelled is None:
        return None
    return adapt(open_source(workspace, recipe.data.unlabelled), describe_source(workspace, recipe))


def open_source(workspace: Workspace, source: str) -> SourceSpec:
    """A source with a local path; a remote one is fetched first. UserError if it has no description."""
    path = workspace.source_path(source)
    if not path.exists():
        known = sorted(p.stem for p in path.parent.glob("*.yaml"))
        raise UserError(f"there is no source '{source}' ({path}); {suggest(source, known)}")
    return fetch_source(load_source_spec(path), workspace.root / ".growset" / "sources")


@dataclass(frozen=True)
class SourceSurvey:
    """A source as it is now: the hash of its content, its layout, its files and where its description says they are."""

    content: str
    kind: str
    licence: str
    files: int
    bytes: int
    place: str


def survey_source(workspace: Workspace, source: str) -> SourceSurvey:
    """Fetch a remote source, hash the files and count them. No image is decoded. Raises as `source_content`."""
    spec = open_source(workspace, source)
    files = list_pool_files(spec)  # a source of labelled images, or a pool alone
    content = hash_files(spec, files, workspace.source_hash_cache(source))
    sizes = [path.stat().st_size for path in files]
    return SourceSurvey(content, spec.kind, spec.licence, len(sizes), sum(sizes), str(spec.root))


def source_content(workspace: Workspace, recipe: Recipe) -> str:
    """Content hash of the recipe's source, and of its images without labels; UserError if a description or images are
    missing."""
    labelled = hash_source(describe_source(workspace, recipe), workspace.source_hash_cache(recipe.source))
    if (others := describe_unlabelled(workspace, recipe)) is None:
        return labelled
    return hash_json([labelled, hash_pool(others, workspace.source_hash_cache(others.name))])


@dataclass(frozen=True)
class RealImages:
    """The images that a recipe takes from its source, how many were converted, pictures with several labels, and the
    unit of each picture where the source has groups.

    growing: all images, of one class, where there are some without labels; else {}. left_out: images without a label
    that are labelled images too.
    """

    subset: Subset
    conversions: dict[str, int]
    disputed: tuple[Dispute, ...]
    units: dict[str, int]
    growing: dict[str, PixelDataset]
    left_out: int = 0

    @property
    def splits(self) -> dict[str, PixelDataset]:
        """The labelled images."""
        return self.subset.splits


def read_real(workspace: Workspace, recipe: Recipe) -> RealImages:
    """The images that the recipe takes from its source. Raises as `read_source` and `change_splits`."""
    spec = describe_source(workspace, recipe)
    real = _read_labelled(spec, recipe.data, recipe.seed)
    others = describe_unlabelled(workspace, recipe)
    return real if others is None else _add_unlabelled(real, spec, others)


def read_labelled(workspace: Workspace, recipe: Recipe) -> RealImages:
    """The labelled images that the recipe takes; those without labels are not opened. Raises as `read_real`."""
    return _read_labelled(describe_source(workspace, recipe), recipe.data, recipe.seed)


@dataclass(frozen=True)
class Contents:
    """Content of a source: content ids of each split, class names, image shape (height, width, channels), pictures with
    several labels, all images together, and the training images of each class.

    known: as ids, with those of the images from before a nuisance. growing: at most how many training images are
    expanded, where these are others than the labelled ones; else None.
    """

    ids: dict[str, frozenset[str]]
    known: dict[str, frozenset[str]]
    class_names: tuple[str, ...]
    shape: tuple[int, int, int]
    disputed: tuple[Dispute, ...]
    pool: Pool
    sizes: tuple[int, ...]
    growing: int | None


def try_source(source: SourceSpec, others: SourceSpec | None, recipe: Recipe, content: str) -> Contents:
    """The content of a source; raises as `read_real`. Equal content is read once per process.

    Of the `others` without labels only so many are opened that one is found which has none: they may be a million, and
    `read_real` opens all of them when they are stored.
    """
    return _try(source, others, recipe.data, recipe.seed, content)


@lru_cache(maxsize=64)
def _try(spec: SourceSpec, others: SourceSpec | None, data: DataSettings, seed: int, content: str) -> Contents:
    real = _read_labelled(spec, data, seed)
    splits = real.splits
    ids = {
        split: frozenset(name.partition("-")[0] for name in dataset.rows["image_id"])
        for split, dataset in splits.items()
    }
    known = {split: list_known(dataset.rows) for split, dataset in splits.items()}
    height, width, channels = splits["train"].images.shape[1:]
    names = splits["train"].class_names
    pool = pool_splits({split: dataset.rows for split, dataset in splits.items()}, real.units, names)
    sizes = np.bincount(splits["train"].labels, minlength=len(names)).tolist()
    growing = None
    if others is not None:
        require_probe(splits)
        require_free_name(names)
        labelled = frozenset[str]().union(*ids.values())
        if others.name != spec.name and not has_others(others, (height, width, channels), labelled):
            _add_unlabelled(real, spec, others)  # says why nothing is left
        growing = bound_growing(len(splits["train"]), spec, others)
    return Contents(ids, known, names, (height, width, channels), real.disputed, pool, tuple(sizes), growing)


def list_known(rows: pl.DataFrame) -> frozenset[str]:
    """Content ids of images, and of those that they were before a nuisance."""
    names = [*rows["image_id"], *rows["parent_id"].drop_nulls()]
    return frozenset(name.partition("-")[0] for name in names)


def bound_growing(labelled: int, spec: SourceSpec, others: SourceSpec) -> int:
    """At most how many images are expanded: so many labelled training images and those of `others`, of which some may
    be labelled too. No image is opened."""
    count = count_pool(others)
    return max(labelled, count) if others.name == spec.name else labelled + count


def _read_labelled(spec: SourceSpec, data: DataSettings, seed: int) -> RealImages:
    source = read_source(spec, classes=data.classes, per_class=data.images_per_class, seed=seed)
    subset = change_splits(source.splits, data, seed)
    return RealImages(subset, dict(source.conversions), source.disputed, source.units, {})


def _add_unlabelled(real: RealImages, spec: SourceSpec, others: SourceSpec) -> RealImages:
    """The same with what is expanded: the labelled images of the source `spec`, and the `others`."""
    splits, conversions = real.splits, dict(real.conversions)
    require_probe(splits)
    height, width, channels = splits["train"].images.shape[1:]
    pool = read_pool(others, (height, width, channels))
    growing = gather(splits, pool.images, pool.ids, others.name, hides_labels=others.name == spec.name)
    left_out = len(pool) + len(splits["train"]) - len(growing["train"])
    for change, count in pool.conversions.items():
        conversions[change] = conversions.get(change, 0) + count
    return replace(real, conversions=conversions, growing=growing, left_out=left_out)


def build_real_images(run: StageRun) -> dict[str, Any]:
    """Read, convert, subset, store; `shape` in the metrics is (height, width, channels)."""
    real = read_real(run.workspace, run.recipe)
    splits = real.splits
    if not real.subset.draws.is_empty():
        write_index(run.out / DRAWS, real.subset.draws)
    if real.units:
        write_groups(run.out, real.units)
    return {
        **store_splits(run.out, splits),
        **_store_growing(run, real),
        "conversions": real.conversions | real.subset.counts,
        **({"disputed": {each.split: each.pictures for each in real.disputed}} if real.disputed else {}),
    }


def _store_growing(run: StageRun, real: RealImages) -> dict[str, Any]:
    """Write what is expanded, where this is something else, as an output of this stage would be; returns its counts."""
    if not real.growing:
        return {}
    folder, labelled = run.out / FOLDER, len(real.splits["train"])
    counts = {"unlabelled": len(real.growing["train"]) - labelled, "left_out": real.left_out}
    metrics = {**store_splits(folder, real.growing), **counts, "labelled": labelled, "conversions": {}}
    write_json(folder / MANIFEST, describe_part(folder, run.stage, metrics))
    run.runtime.sink(
        f"real_images: {counts['unlabelled']:,} images without labels beside {labelled:,} labelled ones are expanded"
    )
    return counts


def store_splits(folder: Path, splits: Mapping[str, PixelDataset]) -> dict[str, Any]:
    """Write the splits and a contact sheet of train; returns the counts, class names and shape for the metrics."""
    for name, dataset in splits.items():
        write_shards(folder, dataset, prefix=name)
    train = splits["train"]
    write_sheet(folder / CONTACT_SHEET, rows_by_class(train.images, train.labels, len(train.class_names), 12))
    return {
        **{name: len(dataset) for name, dataset in splits.items()},
        "classes": len(train.class_names),
        "class_names": list(train.class_names),
        "shape": list(train.images.shape[1:]),
    }
