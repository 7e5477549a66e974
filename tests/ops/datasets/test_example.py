"""The Fashion-MNIST example: the files in the repository, and their script on IDX files made here."""

from __future__ import annotations

import gzip
import hashlib
import importlib.util
import struct
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from ops.datasets.pixels import read_split
from ops.errors import DamagedData, UserError
from ops.sources.reading import read_source
from ops.sources.spec import load_source_spec

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "examples" / "fashion-mnist"


@pytest.fixture(scope="module")
def build() -> ModuleType:
    spec = importlib.util.spec_from_file_location("fashion_mnist_build", FOLDER / "build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def write_idx(path: Path, array: np.ndarray) -> None:
    header = b"\0\0\x08" + bytes([array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    path.write_bytes(gzip.compress(header + array.tobytes(), mtime=0))


def make_idx(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Random images in the four files; each third training image copies a test image or its neighbour."""
    generator = np.random.default_rng(0)
    test = generator.integers(0, 256, (500, 28, 28), dtype=np.uint8)
    train = generator.integers(0, 256, (4_000, 28, 28), dtype=np.uint8)
    train[0::6] = test[np.arange(len(train[0::6])) % 500]
    train[3::6] = train[2::6][: len(train[3::6])]
    labels = np.arange(4_000, dtype=np.uint8) % 10
    write_idx(folder / "train-images-idx3-ubyte.gz", train)
    write_idx(folder / "train-labels-idx1-ubyte.gz", labels)
    write_idx(folder / "t10k-images-idx3-ubyte.gz", test)
    write_idx(folder / "t10k-labels-idx1-ubyte.gz", labels[:500])
    return test, labels[:500]


def test_the_committed_files_are_those_of_the_checksums() -> None:
    lines = (FOLDER / "SHA256SUMS").read_text(encoding="ascii").splitlines()
    names = [line.split("  ")[1] for line in lines]
    assert names == sorted(path.name for path in FOLDER.glob("*.parquet"))
    for line, name in zip(lines, names, strict=True):
        assert hashlib.sha256((FOLDER / name).read_bytes()).hexdigest() == line.split("  ")[0]


def test_everything_together_is_small() -> None:
    assert sum(path.stat().st_size for path in FOLDER.iterdir() if path.is_file()) < 8_000_000


def test_the_counts_the_classes_and_no_image_twice(build: ModuleType) -> None:
    counts = {"train": 100, "validation": 100, "test": 1_000}
    seen: set[str] = set()
    for split, count in counts.items():
        dataset = read_split(FOLDER, split)
        assert dataset.class_names == build.CLASS_NAMES
        assert dataset.images.shape == (10 * count, 28, 28, 1)
        assert np.bincount(dataset.labels).tolist() == [count] * 10
        assert not dataset.rows["is_generated"].any()
        ids = set(dataset.rows["image_id"])
        assert len(ids) == 10 * count
        assert not ids & seen
        seen |= ids


def test_the_shipped_source_names_it() -> None:
    spec = load_source_spec(ROOT / "sources" / "fashion-mnist.yaml")
    assert spec.licence == "MIT"
    splits = read_source(spec, classes=["Bag", "Coat"], per_class=25).splits
    assert {split: len(dataset) for split, dataset in splits.items()} == {
        "train": 50, "validation": 50, "test": 2_000,
    }  # fmt: skip


def test_building_twice_gives_equal_bytes_and_no_copies(build: ModuleType, tmp_path: Path) -> None:
    test, labels = make_idx(tmp_path)
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        build.build(tmp_path, tmp_path / name)
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()
    splits = {split: read_split(tmp_path / "one", split) for split in ("train", "validation", "test")}
    np.testing.assert_array_equal(splits["test"].images[..., 0], test)
    np.testing.assert_array_equal(splits["test"].labels, labels)
    ids = [name for dataset in splits.values() for name in dataset.rows["image_id"]]
    assert len(ids) == len(set(ids)) == 2_500
    for split in ("train", "validation"):
        assert np.bincount(splits[split].labels).tolist() == [100] * 10


def test_idx_files_that_are_not_whole_are_refused(build: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "a.gz"
    with pytest.raises(UserError, match="a.gz does not exist; install Debian's dataset-fashion-mnist or"):
        build.read_idx(path)
    path.write_bytes(gzip.compress(b"\0\0\x0d\x01\0\0\0\x01a"))
    with pytest.raises(DamagedData, match="a.gz: magic number 00000d01; expected 000008 and the number"):
        build.read_idx(path)
    path.write_bytes(gzip.compress(b"\0\0\x08\x02\0\0\0\x02\0\0\0\x03abcde"))
    with pytest.raises(DamagedData, match="a.gz: 5 bytes of data; expected 6"):
        build.read_idx(path)
