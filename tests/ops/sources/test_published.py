"""The shipped descriptions of published data sets, on files as these are published: which image is in which split."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from ops.sources.reading import read_source
from ops.sources.spec import SourceSpec, load_source_spec
from tests.published import CLASSES, FOLDERS, PER_CLASS, SHAPES, write_images
from tests.workspaces import ROOT

DRAWN = {"k49": 2, "gtsrb": 2, "cifar10": 2, "cifar100": 2, "tiny-imagenet": 1}  # validation images of each class


def describe(root: Path, source: str) -> SourceSpec:
    """The shipped description, in a workspace at `root`."""
    (root / "sources").mkdir(parents=True, exist_ok=True)
    return load_source_spec(Path(shutil.copy(ROOT / "sources" / f"{source}.yaml", root / "sources")))


@pytest.mark.parametrize("source", FOLDERS)
def test_a_published_data_set_is_read_as_its_description_says(tmp_path: Path, source: str) -> None:
    truth = write_images(tmp_path, source)
    splits = read_source(describe(tmp_path, source)).splits
    from_test = source in ("cifar10", "cifar100", "tiny-imagenet")
    each = PER_CLASS[source]
    sizes = {"train": each, "validation": DRAWN[source], "test": each}
    sizes["test" if from_test else "train"] -= DRAWN[source]
    for split, dataset in splits.items():
        assert np.bincount(dataset.labels).tolist() == [sizes[split]] * CLASSES[source]
        assert dataset.images.shape[1:] == SHAPES[source]
        assert len(dataset.class_names) == CLASSES[source]
    if source == "gtsrb":
        return  # its images are resized
    divided, whole = ("test", "train") if from_test else ("train", "test")
    for parts, stored in (((divided, "validation"), divided), ((whole,), whole)):
        found = sorted(image.tobytes() for part in parts for image in splits[part].images)
        assert found == sorted(image.tobytes() for image in truth[stored][0])


def test_frames_of_a_track_of_gtsrb_stay_together(tmp_path: Path) -> None:
    write_images(tmp_path, "gtsrb")
    source = read_source(describe(tmp_path, "gtsrb"))
    train, validation = (source.splits[split].rows["image_id"].to_list() for split in ("train", "validation"))
    assert not {source.units[name] for name in train} & {source.units[name] for name in validation}


def test_paths_are_relative_and_each_description_says_where_its_files_come_from() -> None:
    described = {path.stem for path in (ROOT / "sources").glob("*.yaml")}
    assert set(FOLDERS) <= described
    for source, folder in FOLDERS.items():
        text = (ROOT / "sources" / f"{source}.yaml").read_text(encoding="utf-8")
        assert f"\npath: ../datasets/{folder}\n" in text
        assert "://" in str(load_source_spec(ROOT / "sources" / f"{source}.yaml").origin)
