"""Images per second written and read back as a uint8 tensor: pixel datasets beside common alternatives.

One core, page cache warm, 32 x 32 RGB. The image folder is read like torchvision's ImageFolder with PILToTensor
(torchvision has no build for this torch): Pillow opens each file, a DataLoader collates. Only a pixel dataset waits
until the data is on the disk, so it is written in two ways: `write_vs_pil` compares writing to the page cache for both,
`synced_write_vs_pil` compares Growset's real way of writing.
"""

from __future__ import annotations

import io
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import numpy as np
import torch
from PIL import Image
from scipy import ndimage
from torch.utils.data import DataLoader, Dataset

from benchmarks.parts.harness import Row, interleave, write_result
from ops.datasets.identity import content_ids, number_repeats
from ops.datasets.pixels import PixelDataset, build_rows, read_split, write_shards

IMAGES, SIDE, CLASSES = 10_000, 32, 10
REPEATS = 5


class ImageFiles(Dataset[tuple[torch.Tensor, int]]):
    """Equal to torchvision's ImageFolder with PILToTensor."""

    def __init__(self, root: Path) -> None:
        self.files = sorted((path, int(path.parent.name)) for path in root.glob("*/*.png"))

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        path, label = self.files[index]
        with path.open("rb") as stream:
            image = Image.open(stream).convert("RGB")
        return torch.from_numpy(np.array(image)).permute(2, 0, 1), label


def run() -> Path:
    """Measure all ways to write, then all ways to read; write results/storage.json."""
    import datasets
    import webdataset

    torch.set_num_threads(1)
    datasets.disable_progress_bars()
    images = make_images()
    labels = np.arange(IMAGES) % CLASSES
    names = tuple(map(str, range(CLASSES)))
    ids = number_repeats(content_ids(images))
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)

        def fresh(way: str) -> Path:
            """A new folder each time, linked under the name that is read, so that removing the old one is not timed."""
            folder = Path(tempfile.mkdtemp(prefix=f"{way}-", dir=root))
            (root / way).unlink(missing_ok=True)
            (root / way).symlink_to(folder)
            return root / way

        def write_files() -> None:
            folder = fresh("files")
            for label in range(CLASSES):
                (folder / str(label)).mkdir()
            for i, image in enumerate(images):
                Image.fromarray(image).save(folder / str(labels[i]) / f"{i:06d}.png")

        def write_hub() -> None:
            features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=list(names))})
            rows = {"image": [{"bytes": to_png(image), "path": None} for image in images], "label": labels.tolist()}
            datasets.Dataset.from_dict(rows, features=features).to_parquet(fresh("hub") / "train.parquet")

        def write_tars() -> None:
            with webdataset.ShardWriter(f"file:{fresh('tars')}/%06d.tar", maxcount=5_000, verbose=0) as sink:
                for i, image in enumerate(images):
                    sink.write({"__key__": f"{i:06d}", "png": to_png(image), "cls": int(labels[i])})

        def write_ours() -> None:
            rows = build_rows(labels, ids, split="train")
            write_shards(fresh("ours"), PixelDataset(images, rows, names), prefix="train")

        def write_ours_unsynced() -> None:
            with mock.patch.object(os, "fsync", lambda descriptor: None):
                write_ours()

        def write_memmap() -> None:
            np.save(fresh("memmap") / "images.npy", images)

        def read_files() -> torch.Tensor:
            loader = DataLoader(ImageFiles(root / "files"), batch_size=256)
            return torch.cat([batch for batch, _ in loader])

        def read_hub() -> torch.Tensor:
            data = datasets.Dataset.from_parquet(
                str(root / "hub" / "train.parquet"), cache_dir=str(fresh("cache")), keep_in_memory=True
            )
            return torch.cat([batch["image"] for batch in data.with_format("torch").iter(256)])

        def read_tars() -> torch.Tensor:
            shards = [str(path) for path in sorted((root / "tars").glob("*.tar"))]
            data = webdataset.WebDataset(shards, shardshuffle=False).decode("rgb8").to_tuple("png")
            return torch.stack([torch.from_numpy(image) for (image,) in data])

        def read_ours() -> torch.Tensor:
            return torch.from_numpy(read_split(root / "ours", "train").images)

        def read_memmap() -> torch.Tensor:
            return torch.from_numpy(np.array(np.load(root / "memmap" / "images.npy", mmap_mode="r")))

        writing: dict[str, Callable[[], object]] = {
            "PNG files, Pillow": write_files,
            "Hugging Face datasets, Parquet": write_hub,
            "webdataset, tar": write_tars,
            "pixel dataset": write_ours,
            "pixel dataset, not synced": write_ours_unsynced,
            "raw memmap": write_memmap,
        }
        reading: dict[str, Callable[[], object]] = {
            "ImageFolder + DataLoader": read_files,
            "Hugging Face datasets, Parquet": read_hub,
            "webdataset, tar": read_tars,
            "pixel dataset": read_ours,
            "raw memmap": read_memmap,
        }
        written = interleave(writing, repeats=REPEATS)
        for exact in (read_ours, read_memmap):
            assert np.array_equal(exact().numpy(), images), "every image came back"
        assert all(len(whole()) == IMAGES for whole in (read_files, read_hub, read_tars))
        read = interleave(reading, repeats=REPEATS)
        sizes = {
            way: sum(p.stat().st_size for p in (root / way).resolve().rglob("*.*")) / images.nbytes
            for way in ("files", "ours")
        }
    rows = [Row(f"written: {way}", round(IMAGES / seconds), "images/s") for way, seconds in written.items()]
    rows += [Row(f"read: {way}", round(IMAGES / seconds), "images/s") for way, seconds in read.items()]
    rows += [Row(f"size of {way}", round(size, 2), "of the raw pixels") for way, size in sizes.items()]
    ratios = {
        "write_vs_pil": written["PNG files, Pillow"] / written["pixel dataset, not synced"],
        "synced_write_vs_pil": written["PNG files, Pillow"] / written["pixel dataset"],
        "read_vs_imagefolder": read["ImageFolder + DataLoader"] / read["pixel dataset"],
    }
    return write_result("storage", rows, ratios)


def make_images() -> np.ndarray:
    """uint8 [n, SIDE, SIDE, 3]: smooth noise, which compresses about as well as photographs."""
    noise = np.random.default_rng(0).normal(size=(IMAGES, SIDE, SIDE, 3))
    smooth = ndimage.gaussian_filter(noise, (0, 2, 2, 0))
    return np.clip(128 + 300 * smooth, 0, 255).astype(np.uint8)


def to_png(image: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "PNG")
    return stream.getvalue()
