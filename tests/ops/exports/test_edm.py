"""Format `zip`, read with zipfile and Pillow by the rules of EDM's ImageFolderDataset."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ops.errors import UserError
from ops.exports.exporting import export_dataset
from tests.publications import Case, publish


def read_as_edm(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Images uint8 [n, C, H, W] and labels int64 [n]: sorted names with an image's extension, labels by name."""
    Image.init()
    with zipfile.ZipFile(path) as archive:
        names = sorted(name for name in archive.namelist() if Path(name).suffix.lower() in Image.EXTENSION)
        images = []
        for name in names:
            pixels = np.array(Image.open(io.BytesIO(archive.read(name))))
            images.append((pixels[:, :, None] if pixels.ndim == 2 else pixels).transpose(2, 0, 1))
        entries = json.loads(archive.read("dataset.json"))["labels"]
    labels = dict(entries)
    assert len(labels) == len(entries) == len(names)
    return np.stack(images), np.array([labels[name] for name in names]).astype(np.int64)


@pytest.mark.parametrize("name", ["grey", "odd"])
@pytest.mark.parametrize("only", ["all", "real"])
def test_edm_reads_every_image_and_label(name: str, only: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    case: Case = request.getfixturevalue(name)
    export_dataset(case.folder, tmp_path / "out", "zip", only=only)
    for split, expected in case.splits.items():
        if split == "train" and only == "real":
            expected = expected.select(~expected.rows["is_generated"].to_numpy())
        images, labels = read_as_edm(tmp_path / "out" / f"{split}.zip")
        np.testing.assert_array_equal(images.transpose(0, 2, 3, 1), expected.images)
        np.testing.assert_array_equal(labels, expected.labels)


def test_members_are_stored_in_folders_of_a_thousand_without_a_time(tmp_path: Path) -> None:
    images = np.random.default_rng(2).integers(0, 256, (1_204, 4, 4, 1), dtype=np.uint8)
    case = publish(tmp_path / "many", images, np.arange(1_204) % 3, ("a", "b", "c"), real=1_000, generated=200)
    export_dataset(case.folder, tmp_path / "out", "zip")
    with zipfile.ZipFile(tmp_path / "out" / "train.zip") as archive:
        members = archive.infolist()
        assert archive.testzip() is None
    assert [member.filename for member in members[998:1002]] == [
        "00000/img00000998.png", "00000/img00000999.png", "00001/img00001000.png", "00001/img00001001.png",
    ]  # fmt: skip
    assert [member.filename for member in members[1_200:]] == ["dataset.json", "classes.json", "provenance.csv"]
    assert {(member.compress_type, member.date_time) for member in members} == {(0, (1980, 1, 1, 0, 0, 0))}


def test_provenance_lies_beside_the_labels(odd: Case, tmp_path: Path) -> None:
    export_dataset(odd.folder, tmp_path / "out", "zip", only="generated")
    assert [path.name for path in (tmp_path / "out").glob("*.zip")] == ["train.zip"]
    rows = odd.splits["train"].rows.filter("is_generated")
    with zipfile.ZipFile(tmp_path / "out" / "train.zip") as archive:
        found = list(csv.DictReader(io.StringIO(archive.read("provenance.csv").decode(), newline="")))
        classes = json.loads(archive.read("classes.json"))
        labels = json.loads(archive.read("dataset.json"))["labels"]
    assert [entry["name"] for entry in classes] == list(odd.class_names)
    assert [[row["file_name"], int(row["label"])] for row in found] == labels
    for column in ("image_id", "parent_id"):
        assert [row[column] for row in found] == rows[column].to_list()
    assert [json.loads(row["label_name"]) for row in found] == [odd.class_names[label] for label in rows["label"]]


def test_images_that_are_not_square_are_refused_before_any_work(tmp_path: Path) -> None:
    images = np.zeros((4, 4, 6, 3), np.uint8)
    case = publish(tmp_path / "wide", images, np.zeros(4, int), ("a", "b"), real=2, generated=0)
    with pytest.raises(UserError, match="its images are 4x6 RGB; format zip allows only square images"):
        export_dataset(case.folder, tmp_path / "out", "zip")
    assert not (tmp_path / "out").exists()
