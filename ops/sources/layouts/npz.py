"""npz: one file for all splits (MedMNIST, Keras), a file per split and part (Kuzushiji), or plain image and label.

Known names: `train_images` + `train_labels` (val, test likewise), `x_train` + `y_train`, `image(s)` + `label(s)`,
`x` + `y`, in capitals or not; and a folder of `<name>-train-imgs.npz` + `<name>-train-labels.npz` with `arr_0`.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ops.errors import DamagedData, UserError
from ops.sources.layouts.arrays import ArrayFile, check_images, iterate_images, list_arrays, read_array, read_shape
from ops.sources.listing import (
    ALIASES,
    SPLITS,
    Layout,
    Listing,
    name_labels,
    pick,
    report_missing,
    require_files,
    require_path,
)
from ops.sources.spec import SourceSpec

PATTERNS = (("{}_images", "{}_labels"), ("x_{}", "y_{}"), ("{}_image", "{}_label"), ("{}_x", "{}_y"))
PLAIN = (("images", "labels"), ("image", "label"), ("x", "y"), ("data", "labels"))
PARTS = (("-imgs.npz", "-labels.npz"), ("-images.npz", "-labels.npz"))
Pair = tuple[ArrayFile, ArrayFile]


def recognise(root: Path) -> bool:
    return root.suffix == ".npz" or (root.is_dir() and any(root.glob("*.npz")))


def list_files(spec: SourceSpec) -> list[Path]:
    return sorted({file.path for pair in find_pairs(spec).values() for file in pair})


def list_splits(spec: SourceSpec) -> dict[str, Listing]:
    return list_pairs(spec, find_pairs(spec))


def list_pairs(spec: SourceSpec, pairs: dict[str, Pair]) -> dict[str, Listing]:
    """Listings of array files (images, labels) by split."""
    columns = {split: _read_labels(images, labels) for split, (images, labels) in pairs.items()}
    names, labels = name_labels(columns, spec, lambda split, row: f"{pairs[split][1]}, row {row}")
    return {
        split: Listing(
            names,
            labels[split],
            lambda indices, file=images: pick(iterate_images(file), indices, lambda i: f"{file}, row {i}"),  # type: ignore[misc]
        )
        for split, (images, _) in pairs.items()
    }


def _read_labels(images: ArrayFile, labels: ArrayFile) -> np.ndarray:
    shape, dtype = read_shape(images)
    check_images(images, shape, dtype)
    column = read_array(labels)
    if column.ndim == 2 and column.shape[1] == 1:  # as in MedMNIST
        column = column[:, 0]
    if column.ndim != 1:
        raise UserError(f"{labels}: the labels have shape {list(column.shape)}; allowed: [n] or [n, 1], one per image")
    if len(column) != shape[0]:
        raise DamagedData(f"{labels}: there are {len(column)} labels for the {shape[0]} images of {images}")
    return column


def find_pairs(spec: SourceSpec) -> dict[str, Pair]:
    root = require_path(spec, "an .npz file, or a folder of them")
    if root.is_file():
        return _find_in_file(root)
    files = require_files(sorted(root.glob("*.npz")))
    found = {split: pair for split in SPLITS if (pair := _find_in_folder(root, split))}
    if not found and len(files) == 1:
        return _find_in_file(files[0])
    if "train" not in found:
        raise report_missing(
            spec, f"{root} has no <name>-train-imgs.npz with its <name>-train-labels.npz, nor a single .npz"
        )
    return found


def _find_in_folder(root: Path, split: str) -> Pair | None:
    for alias in ALIASES[split]:
        for image_end, label_end in PARTS:
            for images in sorted(root.glob(f"*{alias}{image_end}")):
                labels = images.with_name(images.name.removesuffix(image_end) + label_end)
                if labels.is_file():
                    return _sole(images), _sole(labels)
        if (root / f"{alias}.npz").is_file():
            return _find_in_file(root / f"{alias}.npz")["train"]
    return None


def _sole(path: Path) -> ArrayFile:
    names = list_arrays(path)
    if len(names) != 1:
        raise UserError(f"{path} holds {len(names)} arrays; allowed: one")
    return ArrayFile(path, f"{names[0]}.npy")


def _find_in_file(path: Path) -> dict[str, Pair]:
    stored = list_arrays(path)
    names = {name.lower(): name for name in stored}
    if len(names) < len(stored):
        raise UserError(f"{path} holds {', '.join(stored)}; expected names that differ in more than capitals")
    found = {}
    for split in SPLITS:
        patterns = [(a.format(alias), b.format(alias)) for alias in ALIASES[split] for a, b in PATTERNS]
        if split == "train":
            patterns += PLAIN
        for image, label in patterns:
            if image in names and label in names:
                found[split] = ArrayFile(path, f"{names[image]}.npy"), ArrayFile(path, f"{names[label]}.npy")
                break
    if "train" not in found:
        raise UserError(
            f"{path} holds {', '.join(stored)}; expected train_images and train_labels, or image and label, or X and y"
        )
    return found


LAYOUT = Layout(recognise, list_files, list_splits)
