"""Drawn images written as users keep them: folders, a table beside pictures, Parquet, tar, zip, npz, IDX.

Equal images give equal bytes: nothing holds a date. Layouts that cannot name classes number them.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.sources.drawn import Drawn

SHORT = {"train": "train", "validation": "val", "test": "test"}
EARLIEST = (1980, 1, 1, 0, 0, 0)  # that a zip file can hold


def encode_png(image: np.ndarray) -> bytes:
    """Of uint8 [H, W, C]."""
    stream = io.BytesIO()
    Image.fromarray(image[:, :, 0] if image.shape[2] == 1 else image).save(stream, "PNG")
    return stream.getvalue()


def write_folder(drawn: Drawn, root: Path) -> None:
    """<split>/<class>/<number>.png; without the splits' folders where there is only train."""
    for split, part in drawn.splits.items():
        folder = root if len(drawn.splits) == 1 else root / split
        for number, (image, label) in enumerate(zip(part.images, part.labels, strict=True)):
            path = folder / drawn.class_names[label] / f"{number:05d}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(encode_png(image))


def write_metadata(drawn: Drawn, root: Path) -> None:
    """metadata.csv with file_name, label and split, and all pictures in one folder."""
    (root / "pictures").mkdir(parents=True)
    with (root / "metadata.csv").open("w", encoding="utf-8", newline="") as stream:
        table = csv.writer(stream, lineterminator="\n")
        table.writerow(("file_name", "label", "split"))
        for split, part in drawn.splits.items():
            for number, (image, label) in enumerate(zip(part.images, part.labels, strict=True)):
                name = f"pictures/{split}-{number:05d}.png"
                (root / name).write_bytes(encode_png(image))
                table.writerow((name, drawn.class_names[label], split))


def write_parquet(drawn: Drawn, root: Path) -> None:
    """data/<split>-00000-of-00001.parquet with `image` and `label`, as Hugging Face's hub keeps them."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    (root / "data").mkdir(parents=True)
    features = {"image": {"_type": "Image"}, "label": {"names": list(drawn.class_names), "_type": "ClassLabel"}}
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    for split, part in drawn.splits.items():
        table = pa.table(
            {
                "image": pa.array([{"bytes": encode_png(image), "path": None} for image in part.images], kind),
                "label": pa.array(part.labels, pa.int64()),
            }
        ).replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
        pq.write_table(table, root / "data" / f"{split}-00000-of-00001.parquet")


def write_webdataset(drawn: Drawn, root: Path) -> None:
    """<split>-000000.tar with <key>.png and <key>.cls, and the names in classnames.txt."""
    root.mkdir(parents=True)
    (root / "classnames.txt").write_text("\n".join(drawn.class_names), encoding="utf-8")
    for split, part in drawn.splits.items():
        with tarfile.open(root / f"{split}-000000.tar", "w") as archive:
            for number, (image, label) in enumerate(zip(part.images, part.labels, strict=True)):
                for suffix, content in (("png", encode_png(image)), ("cls", str(label).encode())):
                    entry = tarfile.TarInfo(f"{number:06d}.{suffix}")
                    entry.size = len(content)
                    archive.addfile(entry, io.BytesIO(content))


def write_zip(drawn: Drawn, root: Path) -> None:
    """train.zip, val.zip and test.zip with dataset.json, as EDM's tools make them."""
    root.mkdir(parents=True)
    for split, part in drawn.splits.items():
        names = [f"{number // 1000:05d}/img{number:08d}.png" for number in range(len(part))]
        with zipfile.ZipFile(root / f"{SHORT[split]}.zip", "w") as archive:
            for name, image in zip(names, part.images, strict=True):
                archive.writestr(zipfile.ZipInfo(name, EARLIEST), encode_png(image))
            index = {"labels": [[name, int(label)] for name, label in zip(names, part.labels, strict=True)]}
            archive.writestr(zipfile.ZipInfo("dataset.json", EARLIEST), json.dumps(index))


def write_npz(drawn: Drawn, root: Path) -> None:
    """images.npz with train_images, train_labels and so on, as MedMNIST's files."""
    root.mkdir(parents=True)
    arrays: dict[str, Any] = {}
    for split, part in drawn.splits.items():
        grey = part.images.shape[3] == 1
        arrays[f"{SHORT[split]}_images"] = part.images[..., 0] if grey else part.images
        arrays[f"{SHORT[split]}_labels"] = part.labels.astype(np.uint8)[:, np.newaxis]
    np.savez(root / "images.npz", **arrays)


def write_idx(drawn: Drawn, root: Path) -> None:
    """MNIST's four files. ValueError for colour, and for a validation split: there is no place for it."""
    if set(drawn.splits) != {"train", "test"} or drawn.splits["train"].images.shape[3] != 1:
        raise ValueError("IDX files hold grey images, train and test")
    root.mkdir(parents=True)
    for split, part in drawn.splits.items():
        stem = "t10k" if split == "test" else split
        images = struct.pack(">HBB3I", 0, 8, 3, *part.images.shape[:3]) + part.images.tobytes()
        labels = struct.pack(">HBBI", 0, 8, 1, len(part)) + part.labels.astype(np.uint8).tobytes()
        (root / f"{stem}-images-idx3-ubyte.gz").write_bytes(gzip.compress(images, mtime=0))
        (root / f"{stem}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(labels, mtime=0))


WRITERS: dict[str, Callable[[Drawn, Path], None]] = {
    "folder": write_folder,
    "metadata": write_metadata,
    "parquet": write_parquet,
    "webdataset": write_webdataset,
    "zip": write_zip,
    "npz": write_npz,
    "idx": write_idx,
}


def digest_files(root: Path) -> str:
    """sha256 of all names and bytes below `root`."""
    found = hashlib.sha256()
    for path in sorted(path for path in root.rglob("*") if path.is_file()):
        content = path.read_bytes()
        found.update(f"{path.relative_to(root).as_posix()}\0{len(content)}\0".encode() + content)
    return found.hexdigest()
