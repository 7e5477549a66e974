"""A first look at a user's images: their layout, counts and sizes, and a description that fits them.

It decodes a sample of each split only. Faults in the other images are found when the description is first checked.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ops.errors import DamagedData, GrowsetError, UserError
from ops.sources.ambiguity import require_images, require_one_reading
from ops.sources.conversion import SKIPPED, SUFFIXES, Converter
from ops.sources.grouping import can_divide, find_group_column
from ops.sources.layouts import LAYOUTS, PACKED_KINDS
from ops.sources.layouts.folder import (
    find_class_folders,
    find_split_folders,
    find_splits,
    has_groups,
    has_subfolders,
    list_images,
    list_loose_files,
)
from ops.sources.layouts.metadata import TABLES, read_tables
from ops.sources.layouts.parquet import describe_columns, list_configurations
from ops.sources.listing import SPLITS, Listing, check_names
from ops.sources.spec import SUBFOLDER, SourceSpec, SplitRule
from ops.sources.table_splits import find_split_column, join_names
from ops.sources.tables import Table, describe_fault, find_tables, is_separated

SAMPLE = 1000  # images per split that are decoded
MAX_SIDE = 128  # pixels; images of one size up to this are used as they are
WORKING_SIDE = 64  # pixels; larger or mixed images become squares of at most this side
_ADVICE = (
    "; put the images of each class into a folder of its own, or add labels.csv with the columns file_name and label"
)
DRAWN_SHARES = {"validation": 0.15, "test": 0.25}  # of train, for splits that the source does not have


@dataclass(frozen=True)
class SourceSketch:
    """A source's description, its training `counts` per class, and the `shape` (H, W, C) of its converted images.

    given: counts before splits are drawn from train, int64 [K]. sizes: (H, W) of the sampled images as they are, int64
    [n, 2]. damaged: sampled images that cannot be decoded.
    """

    spec: SourceSpec
    class_names: tuple[str, ...]
    counts: np.ndarray
    shape: tuple[int, int, int]
    sizes: np.ndarray
    given: np.ndarray
    damaged: int = 0

    @property
    def resized(self) -> tuple[float, float]:
        """Shares of the sampled images that become smaller and larger: by the shorter side, since squares are cut."""
        if self.spec.size is None:
            return 0.0, 0.0
        sides = self.sizes.min(axis=1)
        return float((sides > self.spec.size).mean()), float((sides < self.spec.size).mean())


def sketch_source(source: Path, name: str, licence: str, size: int | None = None) -> SourceSketch:
    """Read the labels and up to SAMPLE images of each split; `size` in pixels is chosen if it is None.

    Images of one size of up to MAX_SIDE pixels are used as they are. Otherwise they become squares of the median side,
    of WORKING_SIDE pixels at most. UserError if no layout fits, or if 16-bit images hold too small values. Damaged
    images are counted: whether they are to be left out is said in the description, which does not exist before.
    DamagedData if no image of the sample can be decoded.
    """
    if not source.exists():
        raise UserError(f"{source} does not exist; --source names your images, a folder or a file")
    for text, what in ((str(source.resolve()), "the path"), (licence, "the licence")):
        if any("\ud800" <= sign <= "\udfff" for sign in text):
            raise UserError(f"{what} {text!a} is not UTF-8 text; rename it")
    spec = recognise_source(source, name, licence)
    listings = LAYOUTS[spec.kind].list_splits(spec)
    if "train" not in listings or not listings["train"].class_names:
        raise UserError(f"{source} has no training images; put them into train, with a folder for each class")
    train = listings["train"]
    check_names(spec, train.class_names)
    counts = given = np.bincount(train.labels, minlength=len(train.class_names))
    if len(counts) < 2 or not counts.all():
        raise UserError(f"{source}: {_describe_lone(source, spec, train, counts)}")
    require_images(spec, listings)
    missing = {split: share for split, share in DRAWN_SHARES.items() if split not in listings}
    if missing:
        spec = spec.model_copy(update={"split": SplitRule.model_validate(missing)})
        from ops.datasets.splits import count_targets  # imports scipy, which takes a tenth of a second

        counts = count_targets(counts, **{"validation": 0.0, "test": 0.0} | missing)[0]
    if spec.group is not None and not can_divide(spec.split, listings):
        spec = spec.model_copy(update={"group": None})
    probe = Converter(spec.model_copy(update={"background": "white", "skip_damaged": True}))
    shapes = np.array([shape for listing in listings.values() for shape in _probe(listing, probe)])
    if not len(shapes):
        raise DamagedData(f"{source}: none of its images can be decoded")
    probe.require_depth()
    if probe.counts["put on the background"]:
        spec = spec.model_copy(update={"background": "white"})
    side = _choose_side(shapes) if size is None else size
    if side is not None and not (shapes == (side, side, shapes[0, 2])).all():
        spec = spec.model_copy(update={"size": side})
    height, width = (int(shapes[0, 0]), int(shapes[0, 1])) if spec.size is None else (spec.size, spec.size)
    shape = height, width, int(shapes[:, 2].max())
    return SourceSketch(spec, train.class_names, counts, shape, shapes[:, :2], given, probe.counts[SKIPPED])


def _describe_lone(source: Path, spec: SourceSpec, train: Listing, counts: np.ndarray) -> str:
    """Why train images of one class, or of classes without images, are no source."""
    only, empty = train.class_names[int(counts.argmax())], np.flatnonzero(counts == 0)
    lone = f"all images are of class {only}; at least two classes are needed"
    if np.count_nonzero(counts) == 1 and spec.kind == "folder" and has_subfolders(spec):
        return f"{lone}; if the folders in it are the classes, name it instead: {source / only}"
    if len(empty):
        return f"class {train.class_names[int(empty[0])]} has no images in train; every class needs some"
    return lone + _describe_tables(source) + _ADVICE


def _choose_side(shapes: np.ndarray) -> int | None:
    """The side in pixels for images of these shapes, int64 [n, 3]; None if they are alike and small enough."""
    is_small = shapes[:, :2].max() <= MAX_SIDE
    if is_small and (shapes == shapes[0]).all():
        return None
    one_size = is_small and (shapes[:, :2] == shapes[0, :2]).all()  # grey and colour
    return min(int(np.median(shapes[:, :2].min(axis=1))), MAX_SIDE if one_size else WORKING_SIDE)


def recognise_source(source: Path, name: str, licence: str) -> SourceSpec:
    """The description of an existing path by its layout, and by the columns of its table if it has one; nothing is
    decoded. UserError if no layout fits."""
    kind = find_kind(source)
    if kind == "parquet" and len(variants := list_configurations(source)) > 1:
        names = ", ".join(folder.name for folder in variants)
        raise UserError(f"{source} has train images in several folders: {names}; name one: --source {variants[0]}")
    place, keys = _describe_table(source) if kind == "metadata" else (source, {})
    if kind == "parquet":
        keys = describe_columns(source)
    spec = SourceSpec(name=name, kind=kind, path=str(place.resolve()), licence=licence, **keys)  # type: ignore[arg-type]
    if kind == "metadata":
        spec = _describe_columns(spec)
    if source.is_dir():
        require_one_reading(spec)
    if kind == "folder" and has_groups(spec, len(SPLITS)):
        return spec.model_copy(update={"group": SUBFOLDER})
    return spec


def recognise_unlabelled(source: Path, name: str, licence: str) -> SourceSpec:
    """The description of images without labels: those that lie directly in a folder, or the training images of any
    layout.

    Raises
    ------
    UserError : the folder holds no image, or its files have no known layout.
    """
    if not source.exists():
        raise UserError(f"{source} does not exist; --unlabelled names images without labels, a folder or a file")
    spec = SourceSpec(name=name, kind="folder", path=str(source.resolve()), licence=licence)
    if (loose := list_loose_files(spec)) is None:
        return recognise_source(source, name, licence)
    if not loose:
        raise UserError(f"{source} holds no image; --unlabelled names images without labels")
    return spec


def find_kind(source: Path) -> str:
    """The first layout that recognises the path; UserError, listing all layouts, if none does."""
    for kind, layout in LAYOUTS.items():
        if layout.recognise(source) and not (kind in PACKED_KINDS and _is_beside_folders(source, kind)):
            return kind
    if lack := _describe_lack(source):
        raise UserError(lack)
    raise UserError(
        f"{source} has no known layout; allowed: folders of class folders, or {', '.join(sorted(LAYOUTS))};"
        " `growset docs bring-your-own-data` shows them"
    )


def _is_beside_folders(source: Path, kind: str) -> bool:
    """Whether archives lie beside folders of images and hold something else, such as the same images packed."""
    if not source.is_dir() or not any(list_images(folder) for _, folder in find_class_folders(source)):
        return False
    try:
        LAYOUTS[kind].list_splits(SourceSpec(name="archives", kind=kind, path=str(source.resolve()), licence="unknown"))  # type: ignore[arg-type]
    except GrowsetError:
        return True
    return False


def count_loose_images(spec: SourceSpec) -> int:
    """Images beside the class folders, which belong to no class and are not read."""
    if spec.kind != "folder":
        return 0
    return sum(_count_images(folder) for folder in {spec.root, *find_splits(spec.root).values()})


def _count_images(folder: Path) -> int:
    return sum(path.suffix.lower() in SUFFIXES and path.is_file() for path in folder.iterdir())


def _describe_table(source: Path) -> tuple[Path, dict[str, str]]:
    """The folder of a source with a table, and the keys of its description that differ from the defaults."""
    tables = find_tables(source)
    if not tables:
        return source, {}  # metadata.* with the default columns, or with a fault that reading it reports
    if len(tables) > 1 and (joined := join_names([table.path.name for table in tables])) and _are_alike(tables):
        tables = [replace(tables[0], path=source / joined)]
    if len(tables) > 1:
        names = ", ".join(table.path.name for table in tables)
        raise UserError(
            f"{source}: several tables name images and labels: {names}; name one: --source {tables[0].path}"
        )
    (table,) = tables
    keys = {"table": table.path.name} if table.path.name not in TABLES else {}
    for key, column in (("file_name", table.file_name), ("label", table.label)):
        if column != key:
            keys[key] = column
    return table.path.parent, keys


def _describe_columns(spec: SourceSpec) -> SourceSpec:
    """The description with the columns of the table that give groups, and splits by another name than `split`."""
    frames = read_tables(spec)
    found = {"group": find_group_column(frames["train"], spec.label)} if "train" in frames else {}
    if list(frames) == ["train"] and spec.split_column not in frames["train"].columns:
        found["split_column"] = find_split_column(frames["train"])
    return spec.model_copy(update={key: column for key, column in found.items() if column is not None})


def _are_alike(tables: list[Table]) -> bool:
    return len({(table.file_name, table.label) for table in tables}) == 1


def _describe_lack(source: Path) -> str | None:
    """What a folder of images without classes lacks, or a table, as a sentence; None for anything else."""
    if is_separated(source):
        return f"{source} {describe_fault(source)}"
    misnamed = "is not read under this name; call it train.parquet, and let --source name its folder"
    if source.suffix == ".parquet" and source.is_file():
        return f"{source} {misnamed}"
    if not source.is_dir():
        return None
    for folder in (source, *find_split_folders(source).values()):
        if images := _count_images(folder):
            count = f"{images} image{'s' * (images > 1)}"
            return (
                f"{folder} has {count} side by side, and nothing says of which class each is{_describe_tables(folder)}"
                f"{_ADVICE}"
            )
    if parquet := sorted(source.glob("*.parquet")):
        return f"{parquet[0]} {misnamed}"
    return f"{source} is empty" if not any(source.iterdir()) else None


def _describe_tables(folder: Path) -> str:
    """Why each table in a folder names no images and labels, in brackets; other texts are named as not read."""
    if not folder.is_dir():
        return ""
    paths = sorted(path for path in folder.iterdir() if path.is_file())
    faults = [f"{path.name} {describe_fault(path)}" for path in paths if is_separated(path)]
    faults += [
        f"{path.name} is not read" for path in paths if path.suffix.lower() in (".json", ".xlsx", ".xls", ".txt")
    ]
    return f" ({'; '.join(faults[:5])})" if faults else ""


def _probe(listing: Listing, converter: Converter) -> list[tuple[int, ...]]:
    """The shape of each image of a sample."""
    count = len(listing.labels)
    shapes: list[tuple[int, ...]] = []
    for piece in listing.load(np.unique(np.linspace(0, count - 1, min(SAMPLE, count)).astype(int))):
        images, _ = converter.convert(piece)
        shapes += [image.shape for image in images]
    return shapes
