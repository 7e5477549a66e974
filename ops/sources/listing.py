"""The common result of all layouts: the labels of each split at once, and its images in pieces on demand.

A listing has all labels before any image is decoded, so that a small choice from a large source decodes only the
chosen images. Images come in pieces, so that a large source is never in memory twice.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pyarrow as pa

from ops.errors import DamagedData, UserError
from ops.settings.reading import shorten
from ops.sources.spec import SourceSpec

SPLITS = ("train", "validation", "test")
ALIASES = {
    "train": ("train", "training"),
    "validation": ("validation", "val", "valid", "dev"),
    "test": ("test", "testing"),
}
PIECE_IMAGES = 4_096
MAX_LABEL = 2**63 - 1
MAX_TEXT = 1_000  # characters of a label; numpy gives every label the memory of the longest
_MISSING = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG)
_LIKE_SPLIT = re.compile(r"([a-z]+?)[ _-]*(set|data|dataset|images?|imgs?|split)?[ _-]*[0-9]*")
_NOT_UTF8 = re.compile("[\ud800-\udfff]")  # Python's replacement for bytes that are not UTF-8

Payloads: TypeAlias = "Sequence[bytes | None] | pa.BinaryArray | pa.LargeBinaryArray"


@dataclass(frozen=True, eq=False)
class Piece:
    """Some images of a split, in order: pixels uint8 [n, H, W, 1 or 3], or n image files as bytes (None: missing).

    `name(i)` is the place of image i of the piece, for errors.
    """

    content: np.ndarray | Payloads
    name: Callable[[int], str]

    def __len__(self) -> int:
        return len(self.content)


@dataclass(frozen=True, eq=False)
class Listing:
    """One split: `labels` int64 [n] into `class_names`; `load` reads the images at ascending indices int64 [m].

    `groups` has one text for each image, [n], if the source has groups; "" for an image that is in none.
    """

    class_names: tuple[str, ...]
    labels: np.ndarray
    load: Callable[[np.ndarray], Iterator[Piece]]
    groups: np.ndarray | None = None


@dataclass(frozen=True)
class Layout:
    """One kind of source. `recognise` checks whether a path has this layout, without opening large files.

    `list_files` names all files that hold images or labels, without opening the images. `list_splits` lists the
    splits of the source; a source without splits is all `train`. Both raise UserError if the source does not have
    this layout and DamagedData for broken files.
    """

    recognise: Callable[[Path], bool]
    list_files: Callable[[SourceSpec], list[Path]]
    list_splits: Callable[[SourceSpec], dict[str, Listing]]


def require_path(spec: SourceSpec, expected: str) -> Path:
    """The source's path, which must be an existing file or folder."""
    if not (spec.root.is_dir() or is_file(spec.root)):
        fault = "is neither a file nor a folder" if os.path.exists(spec.root) else "does not exist"
        raise report_missing(spec, f"{spec.root} {fault}; expected {expected}")
    return spec.root


def report_missing(spec: SourceSpec, sentence: str) -> UserError:
    """An error about files that are not there; it says where they come from, if the description does."""
    return UserError(f"{sentence}; the files come from {spec.origin}" if spec.origin else sentence)


def is_file(path: Path) -> bool:
    """Whether a path is a regular file: it exists and is not a folder, a pipe or a device."""
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except ValueError:  # a zero character
        return False
    except OSError as error:
        if error.errno in _MISSING:
            return False
        raise


def require_files(paths: Iterable[Path]) -> list[Path]:
    """The paths, checked. UserError if one is a pipe or another special file, or if its name is not valid UTF-8."""
    checked = []
    for path in paths:
        if not (name := str(path)).isascii() and _NOT_UTF8.search(name):
            raise UserError(f"{escape(path)} has a name that is not UTF-8; rename it")
        if not is_file(path):
            raise UserError(f"{path} is not a file, or is a link to a missing one; remove it")
        checked.append(path)
    return checked


def read_text(path: Path) -> str:
    """The content of a text file of a source; DamagedData if it is not UTF-8."""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise DamagedData(f"{path} is not UTF-8 text: {error.reason} at byte {error.start}") from None


def escape(path: Path) -> str:
    """A path as UTF-8 text; other bytes are escaped."""
    return str(path).encode("utf-8", "backslashreplace").decode()


def check_names(spec: SourceSpec, names: Iterable[str]) -> None:
    """UserError for a class name that is not UTF-8 text or has a zero character."""
    for name in names:
        if "\0" in name or (not name.isascii() and _NOT_UTF8.search(name)):
            raise UserError(f"source {spec.name}: the class name {name!a} is not UTF-8 text; rename it")


def find_split(name: str) -> str | None:
    """The split that a name stands for, such as `validation` for `val`, `valid` and `dev`; None if it is none."""
    return next((split for split, names in ALIASES.items() if name.lower() in names), None)


def guess_split(name: str) -> str | None:
    """The same for names that say more, such as `training_set`, `test-images` and `val2017`."""
    found = _LIKE_SPLIT.fullmatch(name.lower())
    return find_split(found[1]) if found else None


def name_labels(
    values: Mapping[str, np.ndarray],
    spec: SourceSpec,
    name: Callable[[str, int], str],
    names: Sequence[str] | None = None,
) -> tuple[tuple[str, ...], dict[str, np.ndarray]]:
    """Class names and int64 labels of all splits from their stored labels: texts, or whole numbers.

    Texts are sorted, without the white space around them where some differ in that alone. Numbers index `class_names:`
    of the description or `names` (from the files); without either they are their own names. UserError for labels of
    another type, DamagedData for a label without a name; `name(split, row)` is the place for errors.
    """
    known = spec.class_names or names
    if "train" not in values:
        raise UserError(f"source {spec.name}: it has no train images")
    for split, column in values.items():
        place = name(split, 0) if len(column) else f"source {spec.name}, {split} (empty)"
        if column.dtype.kind not in "iuU":
            raise UserError(f"{place}: labels are {column.dtype}; allowed: whole numbers or texts")
        if (column.dtype.kind == "U") != (values["train"].dtype.kind == "U"):
            raise UserError(f"{place}: labels are texts in one split and numbers in another; make them agree")
    values = _join_spaced({split: _to_signed(column, split, name) for split, column in values.items()})
    texts = any(column.dtype.kind == "U" for column in values.values())
    if known is None or texts:
        found = np.unique(np.concatenate(list(values.values())))
        if texts and spec.class_names is not None:
            raise UserError(f"source {spec.name}: its labels are texts already; remove class_names")
        labels = {split: np.searchsorted(found, column).astype(np.int64) for split, column in values.items()}
        return tuple(map(str, found)), labels
    for split, column in values.items():
        outside = (column < 0) | (column >= len(known))
        if outside.any():
            row = int(outside.argmax())
            raise DamagedData(f"{name(split, row)}: label {column[row]} is not in 0 to {len(known) - 1}")
    return tuple(known), {split: column.astype(np.int64) for split, column in values.items()}


def to_texts(values: Iterable[object], where: Path) -> np.ndarray:
    """Labels or groups as an array of texts, "" for None; UserError for one that is longer than MAX_TEXT."""
    texts = ["" if value is None else str(value) for value in values]
    if long := next((text for text in texts if len(text) > MAX_TEXT), None):
        raise UserError(f"{where}: the text {shorten(long)} has {len(long):,} characters; allowed: {MAX_TEXT:,}")
    return np.array(texts, str)


def _join_spaced(values: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The labels without white space around them if some differ in that alone; else as they are."""
    if any(column.dtype.kind != "U" for column in values.values()):
        return values
    known = {str(label) for column in values.values() for label in np.unique(column)}
    if len({label.strip() for label in known}) == len(known):
        return values
    return {split: np.strings.strip(column) for split, column in values.items()}


def _to_signed(column: np.ndarray, split: str, name: Callable[[str, int], str]) -> np.ndarray:
    """Whole numbers of any type as int64, because numpy joins uint64 and int64 to floats; texts stay as they are."""
    if column.dtype.kind == "U":
        return column
    if column.dtype.kind == "u" and (beyond := column > MAX_LABEL).any():
        row = int(beyond.argmax())
        raise UserError(f"{name(split, row)}: the label {column[row]} is too large; allowed: up to {MAX_LABEL}")
    return column.astype(np.int64)


def pick(chunks: Iterable[np.ndarray], indices: np.ndarray, name: Callable[[int], str]) -> Iterator[Piece]:
    """The pixels at ascending `indices`, in pieces, from consecutive chunks uint8 [n, H, W, C].

    `name(index)` is the place of an image, for errors.
    """
    begin = 0
    for chunk in chunks:
        inside = indices[np.searchsorted(indices, begin) : np.searchsorted(indices, begin + len(chunk))]
        if len(inside):
            content = chunk if len(inside) == len(chunk) else chunk[inside - begin]
            yield Piece(content, lambda i, inside=inside: name(int(inside[i])))  # type: ignore[misc]
        begin += len(chunk)
        if len(indices) and begin > indices[-1]:
            return


def read_files(files: Sequence[Path], indices: np.ndarray) -> Iterator[Piece]:
    """The image files at ascending `indices` into `files`, in pieces."""
    for start in range(0, len(indices), 256):
        paths = require_files(files[index] for index in indices[start : start + 256])
        yield Piece([path.read_bytes() for path in paths], lambda i, paths=paths: str(paths[i]))  # type: ignore[misc]
