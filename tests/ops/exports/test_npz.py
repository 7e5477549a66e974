"""Format `npz`, opened by numpy without pickle."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ops.errors import UserError
from ops.exports.exporting import export_dataset
from ops.exports.npz import KEYS
from tests.publications import Case, publish


def load(folder: Path) -> dict[str, np.ndarray]:
    with np.load(folder / "dataset.npz", allow_pickle=False) as file:
        return dict(file)


@pytest.mark.parametrize("name", ["grey", "odd"])
def test_numpy_reads_every_array(name: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    case: Case = request.getfixturevalue(name)
    export_dataset(case.folder, tmp_path / "out", "npz")
    arrays = load(tmp_path / "out")
    assert set(arrays) == {f"{key}_{kind}" for key in KEYS.values() for kind in ("images", "labels")} | {
        "train_is_generated", "train_weight", "class_names",
    }  # fmt: skip
    for split, key in KEYS.items():
        expected = case.splits[split]
        grey = expected.images.shape[3] == 1
        assert arrays[f"{key}_images"].dtype == np.uint8
        np.testing.assert_array_equal(arrays[f"{key}_images"], expected.images[..., 0] if grey else expected.images)
        assert arrays[f"{key}_labels"].dtype == np.uint8 and arrays[f"{key}_labels"].shape == (len(expected), 1)
        np.testing.assert_array_equal(arrays[f"{key}_labels"][:, 0], expected.labels)
    rows = case.splits["train"].rows
    np.testing.assert_array_equal(arrays["train_is_generated"], rows["is_generated"].to_numpy())
    np.testing.assert_array_equal(arrays["train_weight"], rows["weight"].to_numpy())
    assert arrays["class_names"].tolist() == list(case.class_names)
    assert arrays["class_names"].dtype.kind == "U"


def test_with_generated_images_alone_there_are_no_other_splits(grey: Case, tmp_path: Path) -> None:
    export_dataset(grey.folder, tmp_path / "out", "npz", only="generated")
    arrays = load(tmp_path / "out")
    assert set(arrays) == {"train_images", "train_labels", "train_is_generated", "train_weight", "class_names"}
    train = grey.splits["train"]
    mask = train.rows["is_generated"].to_numpy()
    np.testing.assert_array_equal(arrays["train_images"], train.images[mask][..., 0])
    assert arrays["train_is_generated"].all()


def test_many_classes_get_wider_labels(tmp_path: Path) -> None:
    images = np.random.default_rng(3).integers(0, 256, (304, 2, 2, 1), dtype=np.uint8)
    names = tuple(f"class {label}" for label in range(300))
    case = publish(tmp_path / "wide", images, np.arange(304) % 300, names, real=300, generated=0)
    export_dataset(case.folder, tmp_path / "out", "npz")
    assert load(tmp_path / "out")["train_labels"].dtype == np.uint16
    assert load(tmp_path / "out")["train_labels"][299, 0] == 299


def test_several_row_groups_become_one_array(tmp_path: Path) -> None:
    images = np.random.default_rng(4).integers(0, 256, (5_002, 4, 4, 3), dtype=np.uint8)
    case = publish(
        tmp_path / "many", images, np.arange(5_002) % 2, ("a", "b"), real=4_500, generated=500, shard_bytes=220_000
    )
    export_dataset(case.folder, tmp_path / "out", "npz")
    np.testing.assert_array_equal(load(tmp_path / "out")["train_images"], images[:5_000])


def test_a_name_that_numpy_would_cut_is_refused(tmp_path: Path) -> None:
    case = publish(
        tmp_path / "cut", np.zeros((4, 2, 2, 1), np.uint8), np.zeros(4, int), ("a", "b\0"), real=2, generated=0
    )
    with pytest.raises(UserError, match="ends in a zero character; format npz cannot hold it"):
        export_dataset(case.folder, tmp_path / "out", "npz")
    assert not (tmp_path / "out").exists()
