"""Format `webdataset`, opened by the package `webdataset` and by Python's own tarfile."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import webdataset
from PIL import Image

from ops.exports.exporting import export_dataset
from ops.exports.published import open_published
from ops.exports.webdataset import write_webdataset
from tests.publications import Case, digest


def load(folder: Path, split: str) -> list[dict[str, Any]]:
    shards = sorted(str(path) for path in folder.glob(f"{split}-*.tar"))
    return list(webdataset.WebDataset(shards, shardshuffle=False, empty_check=False).decode("rgb8"))


@pytest.mark.parametrize("name", ["grey", "odd"])
def test_webdataset_reads_every_image_label_and_provenance(
    name: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    case: Case = request.getfixturevalue(name)
    export_dataset(case.folder, tmp_path / "out", "webdataset")
    for split, expected in case.splits.items():
        samples = load(tmp_path / "out", split)
        assert [sample["__key__"] for sample in samples] == [f"{key:08d}" for key in range(len(expected))]
        pixels = np.stack([sample["png"] for sample in samples])  # its decoder makes colour of grey
        np.testing.assert_array_equal(pixels, np.broadcast_to(expected.images, pixels.shape))
        assert [sample["cls"] for sample in samples] == expected.rows["label"].to_list()
        rows = expected.rows.to_dicts()
        names = [case.class_names[row["label"]] for row in rows]
        assert [sample["json"] for sample in samples] == [
            {**row, "label_name": label_name} for row, label_name in zip(rows, names, strict=True)
        ]


def test_grey_images_stay_grey(grey: Case, tmp_path: Path) -> None:
    export_dataset(grey.folder, tmp_path / "out", "webdataset")
    with tarfile.open(tmp_path / "out" / "test-000000.tar") as tar:
        files = [tar.extractfile(member) for member in tar if member.name.endswith(".png")]
        images = [Image.open(io.BytesIO(file.read())) for file in files if file]
    assert {image.mode for image in images} == {"L"}
    pixels = np.stack([np.asarray(image) for image in images])
    np.testing.assert_array_equal(pixels[..., None], grey.splits["test"].images)


@pytest.mark.parametrize(
    ("limits", "images"),
    [
        ({"SHARD_IMAGES": 30}, [30, 30, 10]),
        ({"SHARD_BYTES": 10 * (3 * 512 + 3 * 512)}, [10] * 7),
        ({"SHARD_BYTES": 1}, [1] * 70),  # an image larger than that still gets a shard
    ],
)
def test_shards_are_full_and_hold_no_more_than_allowed(
    grey: Case, tmp_path: Path, limits: dict[str, int], images: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, limit in limits.items():
        monkeypatch.setattr(f"ops.exports.webdataset.{name}", limit)
    (tmp_path / "out").mkdir()
    write_webdataset(open_published(grey.folder), tmp_path / "out")
    shards = sorted((tmp_path / "out").glob("train-*.tar"))
    assert [path.name for path in shards] == [f"train-{index:06d}.tar" for index in range(len(images))]
    found = []
    for path in shards:
        with tarfile.open(path) as tar:
            found.append(sum(name.endswith(".png") for name in tar.getnames()))
    assert found == images
    assert len(load(tmp_path / "out", "train")) == 70


def test_members_have_no_time_and_no_owner(grey: Case, tmp_path: Path) -> None:
    export_dataset(grey.folder, tmp_path / "out", "webdataset")
    with tarfile.open(tmp_path / "out" / "train-000000.tar") as tar:
        assert {(m.mtime, m.uid, m.gid, m.uname, m.gname, m.mode) for m in tar} == {(0, 0, 0, "", "", 0o644)}


def test_list_of_classes_lies_beside_the_shards(odd: Case, tmp_path: Path) -> None:
    export_dataset(odd.folder, tmp_path / "out", "webdataset", only="generated")
    classes = json.loads((tmp_path / "out" / "classes.json").read_text(encoding="utf-8"))
    assert classes == [{"label": label, "name": name} for label, name in enumerate(odd.class_names)]
    assert set(digest(tmp_path / "out")) == {"README.md", "verdict.json", "classes.json", "train-000000.tar"}
    assert all(sample["json"]["is_generated"] for sample in load(tmp_path / "out", "train"))
