"""Sources as they are published, written from known images: one maker for each layout.

Each maker writes `truth` (images and labels of three classes, 32 x 32 RGB unless the layout is of grey images) and
returns the description's keys that a user would write. Everything is written by hand or by other tools than ours. Those
of data sets that a shipped description reads take other numbers of classes, too.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import struct
import tarfile
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from PIL import Image

CLASSES = ("ant", "bee", "wild cat")
SPLITS = ("train", "validation", "test")
Truth = Mapping[str, tuple[np.ndarray, np.ndarray]]


def make_truth(*, grey: bool = False, per_class: int = 4, side: int = 32, classes: int = 3) -> Truth:
    """By split: uint8 [n, H, W, C] noise, no two images equal, and labels 0, 1, 2, 0, 1, 2, ..."""
    truth = {}
    for seed, split in enumerate(SPLITS):
        shape = (classes * per_class, side, side, 1 if grey else 3)
        images = np.random.default_rng(seed).integers(0, 256, shape, np.uint8)
        truth[split] = images, np.tile(np.arange(classes), per_class)
    return truth


def to_file(image: np.ndarray, kind: str = "PNG") -> bytes:
    stream = io.BytesIO()
    Image.fromarray(image[:, :, 0] if image.shape[2] == 1 else image).save(stream, kind)
    return stream.getvalue()


def write(path: Path, content: bytes | str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def write_tar(path: Path, members: Mapping[str, bytes]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as archive:
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return path


def write_zip(path: Path, members: Mapping[str, bytes | str]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def make_folder(root: Path, truth: Truth) -> dict[str, Any]:
    for split, (images, labels) in truth.items():
        for i, (image, label) in enumerate(zip(images, labels, strict=True)):
            write(root / split / CLASSES[label] / f"{i:03d} 'é'.png", to_file(image))
    return {"kind": "folder", "path": root}


def make_metadata(root: Path, truth: Truth, kind: str = "csv") -> dict[str, Any]:
    """As Hugging Face's image folders: a table in the folder of each split."""
    for split, (images, labels) in truth.items():
        rows = []
        for i, (image, label) in enumerate(zip(images, labels, strict=True)):
            write(root / split / "pictures" / f"{i}.png", to_file(image))
            rows.append({"file_name": f"pictures/{i}.png", "label": CLASSES[label], "patient": f"{split[:2]}{i // 2}"})
        table = root / split / f"metadata.{kind}"
        if kind == "csv":
            with table.open("w", newline="") as stream:
                writer = csv.DictWriter(stream, list(rows[0]))
                writer.writeheader()
                writer.writerows(rows)
        elif kind == "jsonl":
            write(table, "".join(json.dumps(row) + "\n" for row in rows))
        else:
            pl.DataFrame(rows).write_parquet(table)
    return {"kind": "metadata", "path": root}


def make_parquet(root: Path, truth: Truth, *, shards: int = 2) -> dict[str, Any]:
    """As the hub stores data sets: `data/train-00000-of-00002-<hash>.parquet`, names in the schema's metadata."""
    import datasets

    features = datasets.Features(
        {
            "image": datasets.Image(),
            "label": datasets.ClassLabel(names=list(CLASSES)),
            "patient": datasets.Value("string"),
        }
    )
    for split, (images, labels) in truth.items():
        rows = {
            "image": [{"bytes": to_file(image), "path": None} for image in images],
            "label": labels.tolist(),
            "patient": [f"p{i // 2}" for i in range(len(labels))],
        }
        data = datasets.Dataset.from_dict(rows, features=features)
        for shard in range(shards):
            path = root / "data" / f"{split}-{shard:05d}-of-{shards:05d}.parquet"
            path.parent.mkdir(parents=True, exist_ok=True)
            data.shard(shards, shard, contiguous=True).to_parquet(path)
    return {"kind": "parquet", "path": root}


def make_webdataset(root: Path, truth: Truth) -> dict[str, Any]:
    """As the `webdataset` package's own writer makes it."""
    import webdataset

    for split, (images, labels) in truth.items():
        root.mkdir(parents=True, exist_ok=True)
        with webdataset.ShardWriter(f"file:{root}/{split}-%06d.tar", maxcount=5, verbose=0) as sink:
            for i, (image, label) in enumerate(zip(images, labels, strict=True)):
                sink.write(
                    {"__key__": f"{i:06d}", "png": to_file(image), "cls": int(label), "json": {"patient": i // 2}}
                )
    write(root / "classnames.txt", "\n".join(CLASSES))
    return {"kind": "webdataset", "path": root}


def make_zip(root: Path, truth: Truth) -> dict[str, Any]:
    """As EDM's and StyleGAN's dataset tools make it."""
    for split, (images, labels) in truth.items():
        names = [f"{i // 1000:05d}/img{i:08d}.png" for i in range(len(images))]
        members: dict[str, bytes | str] = dict(zip(names, map(to_file, images), strict=True))
        index = {"labels": [[name, int(label)] for name, label in zip(names, labels, strict=True)]}
        name = "val" if split == "validation" else split
        write_zip(root / f"{name}.zip", members | {"dataset.json": json.dumps(index)})
    return {"kind": "zip", "path": root, "class_names": list(CLASSES)}


def make_npz(root: Path, truth: Truth) -> dict[str, Any]:
    """As MedMNIST: one file, labels [n, 1]; grey images without a channel axis."""
    arrays = {}
    for split, (images, labels) in truth.items():
        name = "val" if split == "validation" else split
        arrays[f"{name}_images"] = images[..., 0] if images.shape[3] == 1 else images
        arrays[f"{name}_labels"] = labels[:, np.newaxis].astype(np.uint8)
    root.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(root / "pathmnist.npz", **arrays)
    return {"kind": "npz", "path": root / "pathmnist.npz", "class_names": list(CLASSES)}


def make_kuzushiji(root: Path, truth: Truth) -> dict[str, Any]:
    """As Kuzushiji-49: a file for each split and part, one array `arr_0` each; no validation."""
    root.mkdir(parents=True, exist_ok=True)
    for split, (images, labels) in truth.items():
        if split != "validation":
            np.savez_compressed(root / f"k49-{split}-imgs.npz", images[..., 0])
            np.savez_compressed(root / f"k49-{split}-labels.npz", labels.astype(np.uint8))
    return {"kind": "npz", "path": root}


def make_idx(root: Path, truth: Truth, *, packed: bool = True) -> dict[str, Any]:
    """As MNIST: grey, big-endian header; no validation."""
    for split, (images, labels) in truth.items():
        if split == "validation":
            continue
        stem = {"train": "train", "test": "t10k"}[split]
        parts = {
            f"{stem}-images-idx3-ubyte": struct.pack(">HBB3I", 0, 8, 3, *images.shape[:3]) + images.tobytes(),
            f"{stem}-labels-idx1-ubyte": struct.pack(">HBBI", 0, 8, 1, len(labels)) + labels.astype(np.uint8).tobytes(),
        }
        for name, content in parts.items():
            write(root / (f"{name}.gz" if packed else name), gzip.compress(content) if packed else content)
    return {"kind": "idx", "path": root, "class_names": list(CLASSES)}


def make_cifar(root: Path, truth: Truth, names: Sequence[str] = CLASSES) -> dict[str, Any]:
    """As cifar-10-binary.tar.gz unpacks: five batches and a test batch; no validation."""
    for split, (images, labels) in truth.items():
        if split == "validation":
            continue
        planes = images.transpose(0, 3, 1, 2).reshape(len(images), -1)
        records = np.concatenate([labels[:, np.newaxis].astype(np.uint8), planes], axis=1)
        files = [f"data_batch_{i}.bin" for i in range(1, 6)] if split == "train" else ["test_batch.bin"]
        for file, part in zip(files, np.array_split(records, len(files)), strict=True):
            write(root / file, part.tobytes())
    write(root / "batches.meta.txt", "\n".join(name.replace(" ", "_") for name in names) + "\n\n")
    return {"kind": "cifar", "path": root}


def make_cifar100(root: Path, truth: Truth, names: Sequence[str] = CLASSES) -> dict[str, Any]:
    """As cifar-100-binary.tar.gz unpacks: a coarse and a fine label; here the coarse one is always 0 or 1."""
    for split, (images, labels) in truth.items():
        if split == "validation":
            continue
        planes = images.transpose(0, 3, 1, 2).reshape(len(images), -1)
        heads = np.stack([labels // 2, labels], axis=1).astype(np.uint8)
        write(root / f"{split}.bin", np.concatenate([heads, planes], axis=1).tobytes())
    write(root / "fine_label_names.txt", "".join(name.replace(" ", "_") + "\n" for name in names))
    write(root / "coarse_label_names.txt", "insects\ncats\n")
    return {"kind": "cifar", "path": root}


def make_gtsrb(root: Path, truth: Truth) -> dict[str, Any]:
    """As the official archives unpack; tracks of two frames; no validation."""
    header = "Filename;Width;Height;Roi.X1;Roi.Y1;Roi.X2;Roi.Y2;ClassId\n"
    images, labels = truth["train"]
    side = images.shape[1]
    for label in range(labels.max() + 1):
        folder = root / "GTSRB" / "Final_Training" / "Images" / f"{label:05d}"
        lines = header
        for n, i in enumerate(np.flatnonzero(labels == label)):
            name = f"{n // 2:05d}_{n % 2:05d}.ppm"
            write(folder / name, to_file(images[i], "PPM"))
            lines += f"{name};{side};{side};5;5;{side - 5};{side - 5};{label}\n"
        write(folder / f"GT-{label:05d}.csv", lines)
    images, labels = truth["test"]
    folder, lines = root / "GTSRB" / "Final_Test" / "Images", header
    for i, (image, label) in enumerate(zip(images, labels, strict=True)):
        write(folder / f"{i:05d}.ppm", to_file(image, "PPM"))
        lines += f"{i:05d}.ppm;{side};{side};5;5;{side - 5};{side - 5};{label}\n"
    write(root / "GT-final_test.csv", lines)  # as GTSRB_Final_Test_GT.zip unpacks beside the folder
    return {"kind": "gtsrb", "path": root, "class_names": list(CLASSES)}


def make_tiny_imagenet(root: Path, truth: Truth, names: Sequence[str] = CLASSES) -> dict[str, Any]:
    """As tiny-imagenet-200.zip unpacks: its val is our test; no validation."""
    wnids = [f"n{1443537 + label:08d}" for label in range(len(names))]
    images, labels = truth["train"]
    for i, (image, label) in enumerate(zip(images, labels, strict=True)):
        write(root / "train" / wnids[label] / "images" / f"{wnids[label]}_{i}.JPEG", to_file(image))
    images, labels = truth["test"]
    lines = ""
    for i, (image, label) in enumerate(zip(images, labels, strict=True)):
        write(root / "val" / "images" / f"val_{i}.JPEG", to_file(image))
        lines += f"val_{i}.JPEG\t{wnids[label]}\t0\t32\t44\t62\n"
    write(root / "val" / "val_annotations.txt", lines)
    write(root / "test" / "images" / "test_0.JPEG", to_file(images[0]))
    write(root / "wnids.txt", "\n".join(reversed(wnids)))
    words = "".join(f"{wnid}\t{name}, and other words\n" for wnid, name in zip(wnids, names, strict=True))
    write(root / "words.txt", "n00001740\tentity\n" + words)
    return {"kind": "tiny-imagenet", "path": root}


Maker = Callable[[Path, Truth], dict[str, Any]]
