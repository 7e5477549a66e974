"""What one split of a user's own data holds, and its images as arrays.

Two kinds: a folder of class folders, and Hugging Face Parquet files. A listing knows every label before one
image is decoded, so that a small choice from a large source decodes only what it needs.

It knows nothing of the choice of classes or images, of ids, or of how the three splits belong together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from PIL import Image, ImageOps

from ops.datasets.png import decode_stored, open_image
from ops.datasets.shards import find_shards, iterate_images, list_columns, read_class_names, read_columns
from ops.errors import DamagedData, UserError

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp")
_SPLIT_FOLDERS = {"train": ("train",), "validation": ("validation", "val"), "test": ("test",)}

# Ascending indices into the listing and the working side length to (name for an error, uint8 [H, W, C]) each.
Loader = Callable[[np.ndarray, int | None], Iterator[tuple[str, np.ndarray]]]


@dataclass(frozen=True, eq=False)
class Listing:
    """One split: `labels` int64 [n] into `class_names`, and `load` for its images."""

    class_names: tuple[str, ...]
    labels: np.ndarray
    load: Loader


def list_files(kind: str, root: Path, split: str) -> list[Path]:
    """The files of `split` (train, validation, test) of a source of kind `folder` or `parquet`, unopened.

    Raises UserError for a missing folder or split and for a layout that the kind does not have, DamagedData
    where one of a numbered set of Parquet files is missing.
    """
    if kind == "parquet":
        return _find_parquet(root, split)
    return [path for paths in _find_images(root, split).values() for path in paths]


def list_split(kind: str, root: Path, split: str) -> Listing:
    """List the images of `split`, with the errors of `list_files`.

    Raises also UserError for Parquet without the columns or class names it needs, DamagedData for a file that
    is broken or a label outside the class names. `load` raises DamagedData, naming file and row, for an image
    that cannot be decoded, and UserError for one that `convert_image` refuses.
    """
    return _list_parquet(root, split) if kind == "parquet" else _list_folder(root, split)


def convert_image(image: Image.Image, size: int | None) -> np.ndarray:
    """A Pillow image as uint8 [H, W, C]: upright by its EXIF tag, grey as C = 1, every other mode as RGB.

    With `size`, bicubic to size x size, aspect kept, the middle cut out. Raises ValueError for what would be lost
    or made up without a word: an animation, transparent pixels, 32-bit pixels, whose range nothing tells.
    """
    if getattr(image, "is_animated", False) and image.format != "MPO":  # a camera's: one picture and its previews
        raise ValueError("it is an animation; allowed: one image in a file")
    upright = ImageOps.exif_transpose(image)
    if upright.has_transparency_data and upright.convert("RGBA").getchannel("A").getextrema() != (255, 255):
        raise ValueError("it has transparent pixels; allowed: opaque ones, so put it on a background first")
    if upright.mode.startswith("I;16"):
        upright = Image.fromarray((np.asarray(upright) >> 8).astype(np.uint8))
    elif upright.mode in ("I", "F"):
        raise ValueError(f"pixels of mode {upright.mode} (32 bit); allowed: 8 or 16 bit")
    upright = upright.convert("L" if upright.mode in ("1", "L", "LA") else "RGB")
    if size is not None:
        upright = ImageOps.fit(upright, (size, size), Image.Resampling.BICUBIC)
    return np.array(upright, np.uint8).reshape(upright.height, upright.width, -1)


def _require_folder(root: Path) -> None:
    if not root.is_dir():
        raise UserError(f"the folder {root} does not exist; expected train, validation and test in it")


def _find_images(root: Path, split: str) -> dict[str, list[Path]]:
    """The image files of each class, both sorted by name."""
    _require_folder(root)
    there = [root / name for name in _SPLIT_FOLDERS[split] if (root / name).is_dir()]
    if len(there) != 1:
        names = _SPLIT_FOLDERS[split]
        fault = "both " + " and ".join(names) if there else "no folder " + " or ".join(names)
        raise UserError(f"{root} has {fault}; expected one, with a folder for each class in it")
    folders = [path for path in _list_visible(there[0]) if path.is_dir()]
    return {folder.name: [path for path in _list_visible(folder) if _is_image(path)] for folder in folders}


def _list_folder(root: Path, split: str) -> Listing:
    classes = _find_images(root, split)
    files = [path for paths in classes.values() for path in paths]
    labels = np.repeat(np.arange(len(classes)), [len(paths) for paths in classes.values()])

    def load(indices: np.ndarray, size: int | None) -> Iterator[tuple[str, np.ndarray]]:
        for index in indices:
            path = files[index]
            yield str(path), _decode(path.read_bytes(), size, str(path))

    return Listing(tuple(classes), labels.astype(np.int64), load)


def _list_visible(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))


def _is_image(path: Path) -> bool:
    """False for what is no image; UserError for what seems to be one and would be lost without a word."""
    suffix = path.suffix.lower()
    if path.is_dir():
        raise UserError(f"{path} is a folder in a class folder; images lie directly in their class folder")
    if suffix not in SUFFIXES and suffix in Image.registered_extensions():
        raise UserError(f"{path} has a format that is not read; allowed: {', '.join(SUFFIXES)}")
    return suffix in SUFFIXES


def _find_parquet(root: Path, split: str) -> list[Path]:
    _require_folder(root)
    files = sorted(root.glob(f"{split}-*.parquet"))
    if not files:
        raise UserError(f"{root} has no file {split}-*.parquet; expected one or more for each split")
    find_shards(root, split)  # raises where a numbered set is not complete
    return files


def _list_parquet(root: Path, split: str) -> Listing:
    files = _find_parquet(root, split)
    names = _read_names(files[0])
    labels = [_read_labels(path, names) for path in files]

    def load(indices: np.ndarray, size: int | None) -> Iterator[tuple[str, np.ndarray]]:
        before = 0
        for path, part in zip(files, labels, strict=True):
            inside = indices[(indices >= before) & (indices < before + len(part))] - before
            before += len(part)
            if len(inside):
                yield from _load_rows(path, inside, size)

    return Listing(names, np.concatenate(labels), load)


def _read_names(path: Path) -> tuple[str, ...]:
    columns = list_columns(path)
    for name in ("image.bytes", "label"):
        if name not in columns:
            raise UserError(f"{path} has no column {name}; it has {', '.join(columns)}")
    names = read_class_names(path)
    if not names:
        raise UserError(f"{path} has no class names (ClassLabel) for label in its Hugging Face metadata")
    return names


def _read_labels(path: Path, names: tuple[str, ...]) -> np.ndarray:
    if _read_names(path) != names:
        raise UserError(f"{path} has other class names than the first file of its split")
    column = read_columns(path, ["label"]).column("label")
    if not pa.types.is_integer(column.type):
        raise UserError(f"{path}: label is of type {column.type}; allowed: integers, named in the metadata")
    labels: np.ndarray = column.fill_null(-1).to_numpy().astype(np.int64)
    outside = (labels < 0) | (labels >= len(names))
    if outside.any():
        row = int(outside.argmax())
        raise DamagedData(f"{path}, row {row}: label {column[row]} is not in 0 to {len(names) - 1}")
    return labels


def _load_rows(path: Path, rows: np.ndarray, size: int | None) -> Iterator[tuple[str, np.ndarray]]:
    """The images of ascending row numbers of one file."""
    for begin, payloads in iterate_images(path):
        inside = rows[(rows >= begin) & (rows < begin + len(payloads))]
        if len(inside) == 0:
            continue
        stored = decode_stored(payloads, where=str(path), first_row=begin)
        for row in inside:
            where = f"{path}, row {row}"
            if stored is not None and (size is None or stored.shape[1:3] == (size, size)):
                yield where, stored[row - begin]
            else:
                yield where, _decode(payloads[int(row - begin)].as_py(), size, where)


def _decode(payload: bytes | None, size: int | None, where: str) -> np.ndarray:
    if payload is None:
        raise DamagedData(f"{where}: there are no image bytes")
    try:
        image = open_image(payload)
    except ValueError as error:
        raise DamagedData(f"{where}: {error}") from error
    try:
        return convert_image(image, size)
    except ValueError as error:
        raise UserError(f"{where}: {error}") from error
