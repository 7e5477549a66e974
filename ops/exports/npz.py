"""Format `npz`: one `dataset.npz` with the keys of MedMNIST, which `np.load` opens without pickle.

`train_images` uint8 [n, H, W] (grey) or [n, H, W, 3], `train_labels` [n, 1] in the smallest unsigned type, the same for
`val_` and `test_`; also `train_is_generated` bool [n], `train_weight` float64 [n] (NaN: no weight) and `class_names`.
Arrays are written batch by batch, so that none is held in memory as a whole.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from ops.errors import UserError
from ops.exports.archives import create_zip, stream_member
from ops.exports.published import Published

FILE = "dataset.npz"
KEYS = {"train": "train", "validation": "val", "test": "test"}


def check_npz(dataset: Published) -> None:
    """UserError if a class name ends in a zero character, which numpy's strings drop."""
    for name in dataset.class_names:
        if name.endswith("\0"):
            raise UserError(f"{dataset.folder}: class {name!r} ends in a zero character; format npz cannot hold it")


def write_npz(dataset: Published, folder: Path) -> None:
    """Fill `folder`."""
    height, width, channels = dataset.shape
    shape = (height, width) if channels == 1 else dataset.shape
    kind = np.min_scalar_type(max(0, len(dataset.class_names) - 1))
    with create_zip(folder / FILE) as archive:
        for split in dataset.splits:
            key, rows = KEYS[split], dataset.counts[split]
            images = (batch.decode().reshape(-1, *shape) for batch in dataset.batches(split))
            _write_array(archive, f"{key}_images", np.dtype(np.uint8), (rows, *shape), images)
            labels = (part["label"].to_numpy().astype(kind) for part in dataset.rows(split))
            _write_array(archive, f"{key}_labels", kind, (rows, 1), labels)
        rows = dataset.counts["train"]
        generated = (part["is_generated"].to_numpy() for part in dataset.rows("train"))
        _write_array(archive, "train_is_generated", np.dtype(bool), (rows,), generated)
        weights = (part["weight"].fill_null(np.nan).to_numpy() for part in dataset.rows("train"))
        _write_array(archive, "train_weight", np.dtype(np.float64), (rows,), weights)
        names = np.array(dataset.class_names, dtype=np.str_)
        _write_array(archive, "class_names", names.dtype, names.shape, [names])


def _write_array(
    archive: zipfile.ZipFile, key: str, kind: np.dtype, shape: tuple[int, ...], parts: Iterable[np.ndarray]
) -> None:
    """Write one array part by part, in C order and little-endian."""
    stored = kind.newbyteorder("<")
    with stream_member(archive, f"{key}.npy") as stream:
        description = {"descr": np.lib.format.dtype_to_descr(stored), "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(stream, description)
        for part in parts:
            stream.write(np.ascontiguousarray(part, dtype=stored).tobytes())
