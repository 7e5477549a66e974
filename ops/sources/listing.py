"""What every layout answers with: the labels of each split at once, and its images in pieces when asked.

A listing knows every label before one image is decoded, so that a small choice from a large source decodes only
what it needs; images come in pieces, so that a large source never lies in memory twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pyarrow as pa

from ops.errors import DamagedData, UserError
from ops.sources.spec import SourceSpec

SPLITS = ("train", "validation", "test")
ALIASES = {"train": ("train",), "validation": ("validation", "val", "valid", "dev"), "test": ("test",)}
PIECE = 4_096  # images

Payloads: TypeAlias = "Sequence[bytes | None] | pa.BinaryArray | pa.LargeBinaryArray"


@dataclass(frozen=True, eq=False)
class Piece:
    """Some images of a split, in order: pixels uint8 [n, H, W, 1 or 3], or n image files as bytes (None: missing).

    `name` says where image i of the piece lies, for an error.
    """

    content: np.ndarray | Payloads
    name: Callable[[int], str]

    def __len__(self) -> int:
        return len(self.content)


@dataclass(frozen=True, eq=False)
class Listing:
    """One split: `labels` int64 [n] into `class_names`, `load` for the images at ascending indices int64 [m].

    `groups` [n] holds one text for each image where the source knows what belongs together.
    """

    class_names: tuple[str, ...]
    labels: np.ndarray
    load: Callable[[np.ndarray], Iterator[Piece]]
    groups: np.ndarray | None = None


@dataclass(frozen=True)
class Layout:
    """One kind of source. `recognise` looks at a path and opens nothing large.

    `list_files` names all files that hold images or labels, unopened; `list_splits` lists the splits that are there,
    a source without splits as `train`. Both raise UserError for a layout that the kind does not have and DamagedData
    for files that are broken.
    """

    recognise: Callable[[Path], bool]
    list_files: Callable[[SourceSpec], list[Path]]
    list_splits: Callable[[SourceSpec], dict[str, Listing]]


def require_path(spec: SourceSpec, expected: str) -> Path:
    """The source's path, which must exist."""
    if not spec.root.exists():
        raise UserError(f"{spec.root} does not exist; expected {expected}")
    return spec.root


def find_split(name: str) -> str | None:
    """`validation` for `val`, `valid` and `dev`, and so on; None for a name of no split."""
    return next((split for split, names in ALIASES.items() if name.lower() in names), None)


def name_labels(
    values: Mapping[str, np.ndarray],
    spec: SourceSpec,
    name: Callable[[str, int], str],
    names: Sequence[str] | None = None,
) -> tuple[tuple[str, ...], dict[str, np.ndarray]]:
    """Class names and int64 labels of all splits from their stored labels: texts, or whole numbers.

    Texts are sorted. Numbers index `names` (those in the files) or `class_names:` of the description, and are their
    own names without either. Raises UserError for labels of another type, DamagedData for one that has no name;
    `name(split, row)` says where.
    """
    known = spec.class_names or names
    for split, column in values.items():
        if column.dtype.kind not in "iuU":
            raise UserError(f"{name(split, 0)}: labels are {column.dtype}; allowed: whole numbers or texts")
        if (column.dtype.kind == "U") != (values["train"].dtype.kind == "U"):
            raise UserError(f"{name(split, 0)}: labels are texts in one split and numbers in another; make them agree")
    texts = any(column.dtype.kind == "U" for column in values.values())
    if known is None or texts:
        found = np.unique(np.concatenate(list(values.values())))
        if texts and spec.class_names is not None:
            raise UserError(f"source {spec.name}: its labels are texts already; take class_names away")
        labels = {split: np.searchsorted(found, column).astype(np.int64) for split, column in values.items()}
        return tuple(map(str, found)), labels
    for split, column in values.items():
        outside = (column < 0) | (column >= len(known))
        if outside.any():
            row = int(outside.argmax())
            raise DamagedData(f"{name(split, row)}: label {column[row]} is not in 0 to {len(known) - 1}")
    return tuple(known), {split: column.astype(np.int64) for split, column in values.items()}


def pick(chunks: Iterable[np.ndarray], indices: np.ndarray, name: Callable[[int], str]) -> Iterator[Piece]:
    """Pieces of pixels at ascending `indices` from consecutive chunks uint8 [n, H, W, C]; `name` takes an index."""
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
    """Pieces of image files at ascending `indices` into `files`."""
    for start in range(0, len(indices), 256):
        paths = [files[index] for index in indices[start : start + 256]]
        yield Piece([path.read_bytes() for path in paths], lambda i, paths=paths: str(paths[i]))  # type: ignore[misc]
