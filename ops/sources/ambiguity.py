"""Sources that can be read in two ways, of which one would lose images without a word: refused at a first look.

The module is for `growset init`, where nothing is described yet. A described source is read as its description says.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ops.errors import UserError
from ops.sources.layouts import metadata
from ops.sources.layouts.folder import find_class_folders, find_split_folders, find_splits, list_images, list_visible
from ops.sources.listing import Listing
from ops.sources.spec import SourceSpec
from ops.sources.tables import is_separated

# Names of folders with pictures that are no images of a class, or of which the folder says no class.
ASIDE = (
    "mask", "masks", "segmentation", "segmentations", "annotation", "annotations", "label", "labels", "groundtruth",
    "ground_truth", "gt", "thumbnail", "thumbnails", "thumbs",
)  # fmt: skip
_NAMED = 3  # folders that a sentence names


def require_one_reading(spec: SourceSpec) -> None:
    """UserError if a table stands beside class folders with images that it does not name, or if one folder is called
    like a split and others beside it, which would not be read, have images too."""
    if spec.kind == "metadata":
        _require_whole_table(spec)
    if spec.kind == "folder":
        _require_splits_alone(spec.root)


def require_images(spec: SourceSpec, listings: Mapping[str, Listing]) -> None:
    """UserError for a folder of validation or test without class folders, such as one of images without labels."""
    for split, listing in listings.items():
        if spec.kind == "folder" and split != "train" and not len(listing.labels):
            folders = find_split_folders(spec.root)
            count = len(list_images(folders[split]))
            loose = f"{count} unlabelled image{'s' * (count > 1)} and " if count else ""
            raise UserError(
                f"{folders[split]} has {loose}no class folders with images, so"
                f" {split} has no labels; to draw the other splits from train, give --source {folders['train']}"
            )


def list_beside(root: Path) -> dict[str, int]:
    """The folders beside those of splits, which are not read, and the number of images in each that has some."""
    places = list(find_splits(root).values())
    if places == [root]:
        return {}
    beside = [path for path in list_visible(root) if path.is_dir() and path not in places]
    return {path.name: count for path in beside if (count := len(list_images(path)))}


def name_some(names: list[str]) -> str:
    """The first names, for a sentence."""
    return ", ".join(names[:_NAMED]) + (", …" if len(names) > _NAMED else "")


def _require_splits_alone(root: Path) -> None:
    beside = list_beside(root)
    places = list(find_splits(root).values())
    if beside and len(places) == 1:
        (place,) = places
        raise UserError(
            f"{root} has {place.name}, which is called like a split, beside folders with images that are no splits"
            f" ({name_some(list(beside))}); if {place.name} is a class, rename it; if the others do not belong to the"
            f" dataset, give --source {place}"
        )


def _require_whole_table(spec: SourceSpec) -> None:
    folders: dict[str, list[Path]] = {}
    for _, folder in find_class_folders(spec.root):
        if folder.name.lower() not in ASIDE and (images := list_images(folder)):
            folders.setdefault(folder.name, []).extend(images)
    if len(folders) < 2:
        return
    tables, named = metadata.find_images(spec)
    unnamed = sum(path not in named for images in folders.values() for path in images)
    if not unnamed:
        return
    table = next(iter(tables.values()))
    alone = len(tables) == 1 and table.parent == spec.root and is_separated(table)
    way = f"give --source {table}" if alone else "move the other images elsewhere"
    raise UserError(
        f"{spec.root} has folders of images ({name_some(list(folders))}), and {table.name} does not name {unnamed} of"
        f" these images; to use only those that it names, {way}; to use the folders as classes, move {table.name}"
        " elsewhere"
    )
