"""IDX, MNIST's format: `train-images-idx3-ubyte`, `train-labels-idx1-ubyte`, `t10k-…`, compressed (`.gz`) or not."""

from __future__ import annotations

from pathlib import Path

from ops.errors import UserError
from ops.sources.layouts.arrays import ArrayFile
from ops.sources.layouts.npz import Pair, list_pairs
from ops.sources.listing import Layout, Listing, require_files, require_path
from ops.sources.spec import SourceSpec

STEMS = {"train": ("train",), "validation": ("validation", "val", "valid"), "test": ("t10k", "test")}


def recognise(root: Path) -> bool:
    return root.is_dir() and _find_pair(root, "train") is not None


def list_files(spec: SourceSpec) -> list[Path]:
    return [file.path for pair in _find_pairs(spec).values() for file in pair]


def list_splits(spec: SourceSpec) -> dict[str, Listing]:
    return list_pairs(spec, _find_pairs(spec))


def _find_pairs(spec: SourceSpec) -> dict[str, Pair]:
    root = require_path(spec, "a folder with train-images-idx3-ubyte in it")
    found = {split: pair for split in STEMS if (pair := _find_pair(root, split))}
    if "train" not in found:
        raise UserError(
            f"{root} has no train-images-idx3-ubyte with its train-labels-idx1-ubyte, compressed (.gz) or not"
        )
    require_files(file.path for pair in found.values() for file in pair)
    return found


def _find_pair(root: Path, split: str) -> Pair | None:
    for stem in STEMS[split]:
        images, labels = _find(root, f"{stem}*images*ubyte"), _find(root, f"{stem}*labels*ubyte")
        if images and labels:
            return ArrayFile(images), ArrayFile(labels)
    return None


def _find(root: Path, pattern: str) -> Path | None:
    return next(iter([*sorted(root.glob(pattern)), *sorted(root.glob(f"{pattern}.gz"))]), None)


LAYOUT = Layout(recognise, list_files, list_splits)
