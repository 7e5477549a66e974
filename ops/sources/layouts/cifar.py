"""CIFAR-10 and CIFAR-100, the *binary* version: records of label bytes and 3 x 32 x 32 pixels, channel after channel.

CIFAR-100 has a coarse and a fine label; the fine one is used unless the description has `label: coarse`. The Python
version is refused, because it is pickled and unpickling can run any code.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ops.datasets.axes import to_nhwc
from ops.errors import DamagedData, UserError
from ops.sources.listing import (
    PIECE_IMAGES,
    Layout,
    Listing,
    name_labels,
    pick,
    read_text,
    report_missing,
    require_path,
)
from ops.sources.spec import SourceSpec

PIXELS = 3 * 32 * 32
TEN = {"train": tuple(f"data_batch_{i}.bin" for i in range(1, 6)), "test": ("test_batch.bin",)}
HUNDRED = {"train": ("train.bin",), "test": ("test.bin",)}
PICKLED = ("data_batch_1", "train", "meta", "batches.meta")


def recognise(root: Path) -> bool:
    binary = root.is_dir() and any((root / name).is_file() for name in ("data_batch_1.bin", "train.bin"))
    return binary or _is_pickled(root)


def list_files(spec: SourceSpec) -> list[Path]:
    files = _find_files(spec)
    return [*(path for paths in files.values() for path in paths), *filter(None, [_find_names(spec)])]


def list_splits(spec: SourceSpec) -> dict[str, Listing]:
    files = _find_files(spec)
    extra = 2 if _is_hundred(spec.root) else 1
    place = 0 if extra == 1 or spec.label == "coarse" else 1
    records = {split: [_open_records(path, extra) for path in paths] for split, paths in files.items()}
    columns = {split: np.concatenate([part[:, place] for part in parts]) for split, parts in records.items()}
    path = _find_names(spec)
    stored = read_text(path).split() if path else None
    names, labels = name_labels(columns, spec, lambda split, row: f"{files[split][0].parent}, {split} {row}", stored)
    return {
        split: Listing(
            names,
            labels[split],
            lambda indices, parts=parts, split=split: pick(  # type: ignore[misc]
                _decode(parts, extra), indices, lambda i: f"{spec.root}, {split} image {i}"
            ),
        )
        for split, parts in records.items()
    }


def _find_files(spec: SourceSpec) -> dict[str, list[Path]]:
    root = require_path(spec, "the folder of the binary version, with data_batch_1.bin or train.bin in it")
    if _is_pickled(root):
        raise UserError(
            f"{root} holds the Python version, whose pickles can run code; download the binary version, "
            "cifar-10-binary.tar.gz or cifar-100-binary.tar.gz"
        )
    names = HUNDRED if _is_hundred(root) else TEN
    files = {split: [root / name for name in parts if (root / name).is_file()] for split, parts in names.items()}
    for split, parts in names.items():
        missing = sorted(set(parts) - {path.name for path in files[split]})
        if missing and (split == "train" or files[split]):
            raise report_missing(spec, f"{root} has no {missing[0]}; expected the whole binary version")
    if spec.label not in ("label", "fine", "coarse") or (spec.label != "label" and not _is_hundred(root)):
        raise UserError(f"source {spec.name}: label is {spec.label}; allowed: fine or coarse, for CIFAR-100")
    return {split: paths for split, paths in files.items() if paths}


def _is_hundred(root: Path) -> bool:
    return (root / "train.bin").is_file()


def _is_pickled(root: Path) -> bool:
    return root.is_dir() and any(
        path.is_file() and path.open("rb").read(1) == b"\x80" for path in (root / name for name in PICKLED)
    )


def _find_names(spec: SourceSpec) -> Path | None:
    kind = "coarse" if spec.label == "coarse" else "fine"
    name = f"{kind}_label_names.txt" if _is_hundred(spec.root) else "batches.meta.txt"
    path = spec.root / name
    return path if path.is_file() and spec.class_names is None else None


def _open_records(path: Path, extra: int) -> np.ndarray:
    """uint8 [n, extra + PIXELS], memory-mapped."""
    size = extra + PIXELS
    if path.stat().st_size % size or not path.stat().st_size:
        raise DamagedData(f"{path}: {path.stat().st_size} bytes are not a whole number of records of {size}")
    records: np.ndarray = np.memmap(path, np.uint8, "r").reshape(-1, size)
    return records


def _decode(parts: list[np.ndarray], extra: int) -> Iterator[np.ndarray]:
    for records in parts:
        for begin in range(0, len(records), PIECE_IMAGES):
            pixels = np.asarray(records[begin : begin + PIECE_IMAGES, extra:]).reshape(-1, 3, 32, 32)
            yield to_nhwc(pixels)


LAYOUT = Layout(recognise, list_files, list_splits)
