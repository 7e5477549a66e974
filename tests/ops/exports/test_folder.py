"""Format `folder`, opened by `datasets`' imagefolder, by Pillow and by Python's own csv."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pytest
from datasets import load_dataset
from PIL import Image

from ops.datasets.pixels import PixelDataset
from ops.errors import DamagedData
from ops.exports.exporting import export_dataset
from tests.publications import Case, publish


@pytest.mark.parametrize("name", ["grey", "odd"])
@pytest.mark.parametrize("only", ["all", "generated"])
def test_imagefolder_reads_every_image_with_its_metadata(
    name: str, only: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    case: Case = request.getfixturevalue(name)
    export_dataset(case.folder, tmp_path / "out", "folder", only=only)
    loaded = load_dataset("imagefolder", data_dir=str(tmp_path / "out"), cache_dir=str(tmp_path / "cache"))
    splits = dict(case.splits)
    if only == "generated":
        splits = {"train": splits["train"].select(splits["train"].rows["is_generated"].to_numpy())}
    assert list(loaded) == list(splits)
    for split, expected in splits.items():
        found = loaded[split]
        mode = "L" if expected.images.shape[3] == 1 else "RGB"
        assert {image.mode for image in found["image"]} == {mode}
        images = np.stack([np.asarray(image) for image in found["image"]])
        np.testing.assert_array_equal(images.reshape(expected.images.shape), expected.images)
        rows = expected.rows
        for column in ("label", "is_generated", "image_id"):
            assert list(found[column]) == rows[column].to_list(), column
        assert list(found["parent_id"]) == rows["parent_id"].fill_null("-").to_list()
        assert list(found["round"]) == rows["round"].fill_null(-1).to_list()
        assert list(found["k"]) == rows["k"].fill_null(-1).to_list()
        np.testing.assert_array_equal(np.array(found["weight"], float), rows["weight"].fill_null(np.nan).to_numpy())
        spelled = [case.class_names[label] for label in rows["label"]]
        if name == "odd":  # its names include `None` and `007`, so all are JSON strings
            spelled = [json.dumps(text, ensure_ascii=False) for text in spelled]
        assert list(found["label_name"]) == spelled


def test_folders_table_and_classes_json_agree(odd: Case, tmp_path: Path) -> None:
    export_dataset(odd.folder, tmp_path / "out", "folder")
    classes = json.loads((tmp_path / "out" / "classes.json").read_text(encoding="utf-8"))
    assert [entry["name"] for entry in classes] == list(odd.class_names)
    assert [unquote(entry["folder"], errors="strict").removeprefix("%") for entry in classes] == list(odd.class_names)
    for split, expected in odd.splits.items():
        folder = tmp_path / "out" / split
        assert sum(1 for path in folder.rglob("*.png")) == len(expected)
        with (folder / "metadata.csv").open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        assert [json.loads(row["label_name"]) for row in rows] == [odd.class_names[i] for i in expected.rows["label"]]
        for row, pixels in zip(rows, expected.images, strict=True):
            assert row["file_name"] == f"{classes[int(row['label'])]['folder']}/{row['image_id']}.png"
            np.testing.assert_array_equal(np.asarray(Image.open(folder / row["file_name"])), pixels)


def test_the_card_does_not_point_to_parquet_files(grey: Case, tmp_path: Path) -> None:
    """The folder, opened by its path as on the Hub, is read as images too."""
    export_dataset(grey.folder, tmp_path / "out", "folder")
    head = (tmp_path / "out" / "README.md").read_text().split("---\n")[1]
    assert "parquet" not in head and "license:" in head
    loaded = load_dataset(str(tmp_path / "out"), cache_dir=str(tmp_path / "cache"))
    assert {split: len(rows) for split, rows in loaded.items()} == {"train": 70, "validation": 15, "test": 15}


def test_two_images_of_one_class_with_the_same_id_are_damage(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (6, 4, 4, 1), dtype=np.uint8)
    images[1] = images[0]
    case = publish(tmp_path / "twice", images, np.zeros(6, int), ("a", "b"), real=2, generated=0)
    rows = case.splits["train"].rows
    assert rows["image_id"].n_unique() == 2  # publishing numbers them
    _give_one_id(case)
    with pytest.raises(DamagedData, match="train-00000-of-00001.parquet: two images of one class have the id same"):
        export_dataset(case.folder, tmp_path / "out", "folder")
    assert not (tmp_path / "out").exists()


def _give_one_id(case: Case) -> None:
    import polars as pl

    from ops.datasets.pixels import write_shards
    from ops.files.manifests import MANIFEST, describe_output
    from ops.files.storage import write_json

    train = case.splits["train"]
    rows = train.rows.with_columns(image_id=pl.lit("same"))
    write_shards(case.folder / "data", PixelDataset(train.images, rows, train.class_names), prefix="train")
    write_json(
        case.folder / MANIFEST,
        describe_output(case.folder, {"stage": "published_dataset", "fingerprint": "f", "inputs": {}}, {}),
    )
