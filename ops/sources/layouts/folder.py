"""Folders of class folders: `<class>/**`, or `train|val|test/<class>/**`.

With `group: subfolder` images belong together that lie in one folder within their class folder, such as the images of
one patient; folders of the same name in several classes are one group. Images that lie directly in a folder without
others have no labels. A pool may be read from such a folder, a source may not.
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from ops.errors import UserError
from ops.sources.conversion import SUFFIXES
from ops.sources.listing import (
    ALIASES,
    SPLITS,
    Layout,
    Listing,
    check_names,
    escape,
    find_split,
    guess_split,
    read_files,
    require_files,
    require_path,
    to_texts,
)
from ops.sources.spec import SUBFOLDER, SourceSpec

LEFT_BEHIND = (".", "__MACOSX", "@eaDir")  # beginnings of names: hidden ones, and folders of macOS and of Synology


@dataclass(frozen=True)
class ClassFolder:
    """The folder of a class in one split, and the image files in it, sorted."""

    path: Path
    files: list[Path]

    def name_groups(self) -> list[str]:
        """The folder within the class folder in which each file lies; "" for a file beside them."""
        parts = [path.relative_to(self.path).parts for path in self.files]
        return [part[0] if len(part) > 1 else "" for part in parts]

    def count_groups(self) -> int:
        """A file beside the folders is a group of its own."""
        groups = self.name_groups()
        return len(set(groups) - {""}) + groups.count("")


def recognise(root: Path) -> bool:
    """Whether the folder has class folders that are not empty, directly or in split folders."""
    return root.is_dir() and any(list_visible(folder) for _, folder in find_class_folders(root))


def list_files(spec: SourceSpec) -> list[Path]:
    return [path for classes in _find_images(spec).values() for found in classes.values() for path in found.files]


def list_splits(spec: SourceSpec) -> dict[str, Listing]:
    return {split: _list_split(classes, spec) for split, classes in _find_images(spec).items()}


def has_subfolders(spec: SourceSpec) -> bool:
    """Whether images lie deeper than in their class folder."""
    classes = [found for split in _find_images(spec).values() for found in split.values()]
    return any(path.parent != found.path for found in classes for path in found.files)


def has_groups(spec: SourceSpec, least: int) -> bool:
    """Whether `group: subfolder` would divide the images: folders in class folders, none in two splits, and `least` or
    more of them for each class of train."""
    splits = {split: list(classes.values()) for split, classes in _find_images(spec).items()}
    groups = [{group for found in classes for group in found.name_groups()} - {""} for classes in splits.values()]
    apart = len(set.union(*groups)) == sum(map(len, groups))
    train = splits.get("train", [])
    return any(groups) and apart and all(found.count_groups() >= least for found in train)


def list_subfolders(spec: SourceSpec) -> list[set[str]]:
    """The folders in which images of each class of train lie within its class folder; "" for images beside them."""
    return [set(found.name_groups()) for found in _find_images(spec).get("train", {}).values()]


def list_loose_files(spec: SourceSpec) -> list[Path] | None:
    """The image files that lie directly in a folder without other folders, sorted by name; None for any other path."""
    if spec.kind != "folder" or not spec.root.is_dir():
        return None
    entries = list_visible(spec.root)
    if any(path.is_dir() for path in entries):
        return None
    return require_files(path for path in entries if _is_image(path))


def list_loose(spec: SourceSpec) -> Listing | None:
    """Those images, all of one class without a meaning; None as in `list_loose_files`."""
    files = list_loose_files(spec)
    return None if files is None else _list_split({"unlabelled": ClassFolder(spec.root, files)}, spec)


def find_split_folders(root: Path) -> dict[str, Path]:
    """The folder of each split that exists; UserError if two folders are of one split.

    Without any, folders such as `training_set` and `test_set` are the splits, if no image lies in another folder.
    """
    folders = [path for path in list_visible(root) if path.is_dir()]
    found: dict[str, Path] = {}
    for folder in folders:
        split = find_split(folder.name)
        if split in found:
            raise UserError(f"{root} has both {found[split].name} and {folder.name}; expected one of the two")
        if split is not None:
            found[split] = folder
    found = found or _guess_split_folders(folders)
    return {split: found[split] for split in SPLITS if split in found}


def guesses_splits(root: Path) -> bool:
    """Whether folders such as `train2017` are the splits."""
    names = [folder.name for folder in find_split_folders(root).values()] if root.is_dir() else []
    return bool(names) and not any(map(find_split, names))


def _guess_split_folders(folders: list[Path]) -> dict[str, Path]:
    """Two or three folders whose names say more than a split, such as `train2017`; none if that is not clear."""
    guesses = {folder: guess_split(folder.name) for folder in folders}
    found = {split: folder for folder, split in guesses.items() if split is not None}
    others = [folder for folder, split in guesses.items() if split is None]
    is_clear = "train" in found and 1 < len(found) == len(folders) - len(others)
    return found if is_clear and not any(list_images(folder) for folder in others) else {}


def list_images(folder: Path) -> list[Path]:
    """The files in a folder and below it that are images by their suffix; links to folders are not followed."""
    return [path for path in list_all(folder) if path.suffix.lower() in SUFFIXES]


def list_all(folder: Path) -> list[Path]:
    """The files in a folder and below it, without what systems leave behind."""
    found = []
    for top, below, names in os.walk(folder):
        below[:] = [name for name in below if not name.startswith(LEFT_BEHIND)]
        found += [Path(top, name) for name in sorted(names) if not name.startswith(LEFT_BEHIND)]
    return sorted(found)


def find_splits(root: Path) -> dict[str, Path]:
    """The folder of class folders of each split; all is train where there are no splits, or where a folder that is
    called like one is a class itself: it has no folders, and there are folders beside it."""
    splits = find_split_folders(root)
    beside = [path for path in list_visible(root) if path.is_dir() and path not in splits.values()]
    if beside and not any(child.is_dir() for folder in splits.values() for child in list_visible(folder)):
        return {"train": root}
    return splits or {"train": root}


def find_class_folders(root: Path) -> list[tuple[str, Path]]:
    """The split and the folder of each class folder."""
    return [
        (split, child)
        for split, folder in find_splits(root).items()
        for child in list_visible(folder)
        if child.is_dir()
    ]


def _find_images(spec: SourceSpec) -> dict[str, dict[str, ClassFolder]]:
    """The class folders by split and class name (in canonical Unicode form), all sorted by name."""
    root = require_path(spec, "a folder of class folders, or train, val and test with class folders in each")
    if not root.is_dir():
        raise UserError(f"{root} is a file; expected a folder of class folders")
    found: dict[str, dict[str, ClassFolder]] = {split: {} for split in find_splits(root)}
    for split, folder in find_class_folders(root):
        name = unicodedata.normalize("NFC", folder.name)
        check_names(spec, [name])
        if name in found[split]:
            raise UserError(f"{folder.parent} has two folders {name!r} in different Unicode forms; merge them")
        found[split][name] = ClassFolder(folder, require_files(filter(_is_image, _walk(folder))))
    if not any(each.files for classes in found.values() for each in classes.values()):
        expected = ", ".join(f"{names[0]} (or {names[1]})" for names in ALIASES.values())
        raise UserError(f"{root} has no class folders with images; expected them directly in it or in {expected}")
    return found


def _walk(folder: Path, above: tuple[Path, ...] = ()) -> Iterator[Path]:
    """All files below a class folder. UserError for the folder of a split, and for a link to a folder `above` it."""
    if (real := folder.resolve()) in above:
        raise UserError(f"{escape(folder)} links to a folder that it lies in; remove the link")
    for path in list_visible(folder):
        if not path.is_dir():
            yield path
        elif find_split(path.name):
            raise UserError(
                f"{escape(path)} is the folder of a split in a class folder; splits lie above the classes, and the"
                " source is the folder above the splits"
            )
        else:
            yield from _walk(path, (*above, real))


def _list_split(classes: Mapping[str, ClassFolder], spec: SourceSpec) -> Listing:
    files = [path for found in classes.values() for path in found.files]
    labels = np.repeat(np.arange(len(classes)), [len(found.files) for found in classes.values()])
    groups = [group for found in classes.values() for group in found.name_groups()] if spec.group == SUBFOLDER else None
    return Listing(
        tuple(classes),
        labels.astype(np.int64),
        lambda indices: read_files(files, indices),
        None if groups is None else to_texts(groups, spec.root),
    )


def list_visible(folder: Path) -> list[Path]:
    """What lies in a folder, without what systems leave behind, sorted."""
    return sorted(path for path in folder.iterdir() if not path.name.startswith(LEFT_BEHIND))


def _is_image(path: Path) -> bool:
    """Whether a path is an image by its suffix; UserError for another image format, which would be lost."""
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES and suffix in Image.registered_extensions():
        raise UserError(f"{path} has a format that is not supported; allowed: {', '.join(SUFFIXES)}")
    return suffix in SUFFIXES


LAYOUT = Layout(recognise, list_files, list_splits)
