"""Format `huggingface`, opened by `datasets` and by `mlcroissant`."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from datasets import Dataset, DatasetDict, load_dataset

from ops.datasets.pixels import PixelDataset, read_split
from ops.exports.exporting import export_dataset
from tests.croissant import read_croissant
from tests.publications import Case, digest


def load(folder: Path, cache: Path) -> DatasetDict:
    loaded = load_dataset(str(folder), cache_dir=str(cache))
    assert isinstance(loaded, DatasetDict)
    return loaded


def assert_equal(loaded: Dataset, expected: PixelDataset) -> None:
    assert loaded.features["label"].names == list(expected.class_names)
    images = np.stack([np.asarray(image) for image in loaded["image"]])
    np.testing.assert_array_equal(images.reshape(expected.images.shape), expected.images)
    for name in expected.rows.columns:
        assert list(loaded[name]) == expected.rows[name].to_list(), name


@pytest.mark.parametrize("name", ["grey", "odd"])
def test_datasets_reads_every_split_unchanged(name: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    case: Case = request.getfixturevalue(name)
    export_dataset(case.folder, tmp_path / "out", "huggingface")
    loaded = load(tmp_path / "out", tmp_path / "cache")
    assert list(loaded) == ["train", "validation", "test"]
    for split, expected in case.splits.items():
        assert_equal(loaded[split], expected)


def test_whole_files_are_copied_byte_by_byte(grey: Case, tmp_path: Path) -> None:
    export_dataset(grey.folder, tmp_path / "out", "huggingface")
    assert digest(tmp_path / "out" / "data") == digest(grey.folder / "data")
    for name in ("README.md", "verdict.json"):
        assert (tmp_path / "out" / name).read_bytes() == (grey.folder / name).read_bytes()
    assert (tmp_path / "out" / "verdict.json").stat().st_ino != (grey.folder / "verdict.json").stat().st_ino


def test_real_images_alone_keep_the_other_splits(grey: Case, tmp_path: Path) -> None:
    export_dataset(grey.folder, tmp_path / "out", "huggingface", only="real")
    loaded = load(tmp_path / "out", tmp_path / "cache")
    real = np.flatnonzero(~grey.splits["train"].rows["is_generated"].to_numpy())
    assert_equal(loaded["train"], grey.splits["train"].select(real))
    assert_equal(loaded["test"], grey.splits["test"])
    assert "the 40 real training images, and validation and test whole." in (tmp_path / "out" / "README.md").read_text()
    assert len(list((tmp_path / "out" / "data").glob("train-*"))) < len(list((grey.folder / "data").glob("train-*")))
    read_split(tmp_path / "out" / "data", "train")  # the files are numbered as one complete set


def test_generated_images_alone_load_without_the_other_splits(grey: Case, tmp_path: Path) -> None:
    export_dataset(grey.folder, tmp_path / "out", "huggingface", only="generated")
    loaded = load(tmp_path / "out", tmp_path / "cache")
    assert list(loaded) == ["train"]
    generated = np.flatnonzero(grey.splits["train"].rows["is_generated"].to_numpy())
    assert_equal(loaded["train"], grey.splits["train"].select(generated))


@pytest.mark.parametrize("only", ["all", "real", "generated"])
def test_croissant_is_valid_and_describes_the_images(odd: Case, tmp_path: Path, only: str) -> None:
    export_dataset(odd.folder, tmp_path / "out", "huggingface", only=only)
    described = read_croissant(tmp_path / "out" / "croissant.json")
    assert described.errors == []
    splits = ["train"] if only == "generated" else list(odd.splits)
    assert list(described.records) == ["classes", *splits]
    assert [(row["label"], row["name"]) for row in described.records["classes"]] == list(enumerate(odd.class_names))
    for split in splits:
        expected = odd.splits[split]
        if split == "train" and only != "all":
            mask = expected.rows["is_generated"].to_numpy() == (only == "generated")
            expected = expected.select(mask)
        records = described.records[split]
        np.testing.assert_array_equal(np.stack([row["image"] for row in records]), expected.images)
        for column in expected.rows.columns:
            assert [row[column] for row in records] == expected.rows[column].to_list(), column


def test_croissant_names_every_file_with_its_hash_and_the_licence(grey: Case, tmp_path: Path) -> None:
    export_dataset(grey.folder, tmp_path / "out", "huggingface")
    content = json.loads((tmp_path / "out" / "croissant.json").read_text())
    assert content["license"] == "bsd-3-clause"
    files = [entry for entry in content["distribution"] if entry["@type"] == "cr:FileObject"]
    assert len(files) == len(list((tmp_path / "out" / "data").iterdir()))
    for entry in files:
        stored = (tmp_path / "out" / entry["contentUrl"]).read_bytes()
        assert entry["sha256"] == hashlib.sha256(stored).hexdigest()
        assert entry["contentSize"] == f"{len(stored)} B"
