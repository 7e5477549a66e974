"""Images without labels beside labelled ones: who is where, who is left out, and who has which label."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ops.datasets.identity import content_ids, number_repeats
from ops.datasets.pixels import PixelDataset, build_rows, write_shards
from ops.datasets.unlabelled import (
    FOLDER,
    NO_LABEL,
    find_growing,
    find_labels,
    gather,
    has_unlabelled,
    name_classes,
    require_probe,
    write_labels,
)
from tests.recipes import refused

PICTURES = np.random.default_rng(0).integers(0, 256, (12, 4, 4, 1), dtype=np.uint8)
CLASSES = ("cat", "dog")


def take(pictures: list[int], labels: list[int], split: str, names: tuple[str, ...] = CLASSES) -> PixelDataset:
    images = PICTURES[pictures]
    return PixelDataset(images, build_rows(labels, number_repeats(content_ids(images)), split=split), names)


SPLITS = {
    "train": take([0, 1, 2], [0, 1, 1], "train"),
    "validation": take([3, 4], [0, 1], "validation"),
    "test": take([5, 6], [1, 0], "test"),
}
OTHERS = [7, 1, 8, 5, 8, 3, 9]  # of which one is in each labelled split, and one comes twice


def list_ids(pictures: list[int]) -> list[str]:
    return number_repeats(content_ids(PICTURES[pictures]))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What the stage real_images stores."""
    for split, dataset in SPLITS.items():
        write_shards(tmp_path, dataset, prefix=split)
    for split, dataset in gather(SPLITS, PICTURES[OTHERS], list_ids(OTHERS), "others").items():
        write_shards(tmp_path / FOLDER, dataset, prefix=split)
    return tmp_path


def test_all_are_of_one_class_the_labelled_ones_first_and_copies_of_these_are_left_out() -> None:
    found = gather(SPLITS, PICTURES[OTHERS], list_ids(OTHERS), "others")
    np.testing.assert_array_equal(found["train"].images, PICTURES[[0, 1, 2, 7, 8, 8, 9]])
    assert found["train"].rows["image_id"].is_unique().all() and set(found["train"].rows["split"]) == {"train"}
    for split, dataset in found.items():
        assert dataset.class_names == ("unlabelled",) and not dataset.labels.any()
        assert dataset.rows["image_id"].to_list()[: len(SPLITS[split])] == SPLITS[split].rows["image_id"].to_list()
    assert len(found["validation"]) == len(found["test"]) == 2


def test_what_leaves_nothing_to_expand_or_no_name_is_refused() -> None:
    with refused("every image of 'others' is a labelled image too"):
        gather(SPLITS, PICTURES[[0, 3, 6]], list_ids([0, 3, 6]), "others")
    splits = {**SPLITS, "train": take([0, 1], [0, 1], "train", ("cat", "unlabelled"))}
    with refused("a class is called 'unlabelled'"):
        gather(splits, PICTURES[[7]], list_ids([7]), "others")


@pytest.mark.parametrize("split", SPLITS)
def test_a_split_of_one_class_is_refused(split: str) -> None:
    require_probe(SPLITS)
    with refused(f"all labelled images of {split} are of class dog, and a probe needs two classes"):
        require_probe({**SPLITS, split: take([0, 1], [1, 1], split)})


def test_labels_are_those_of_the_labelled_training_images_alone(folder: Path) -> None:
    assert find_growing(folder) == folder / FOLDER
    train = gather(SPLITS, PICTURES[OTHERS], list_ids(OTHERS), "others")["train"]
    drawn = build_rows([0, 0], ["g1", "g2"], split="", is_generated=True)
    assert find_labels(folder, train.rows).tolist() == [0, 1, 1, *[NO_LABEL] * 4]
    assert find_labels(folder, drawn).tolist() == [NO_LABEL] * 2
    assert name_classes(folder) == (*CLASSES, "unlabelled")
    assert write_labels(folder, train.rows)["label"].to_list() == [0, 1, 1, 2, 2, 2, 2]
    stripped = gather(SPLITS, PICTURES[OTHERS], list_ids(OTHERS), "others")["test"].rows
    assert find_labels(folder, stripped).tolist() == [NO_LABEL] * 2, "labels of test are read by those that ask alone"
    assert write_labels(folder, stripped, ("train", "test"))["label"].to_list() == [1, 0]


def test_where_all_are_labelled_nothing_changes(tmp_path: Path) -> None:
    write_shards(tmp_path, SPLITS["train"], prefix="train")
    assert find_growing(tmp_path) == tmp_path and not has_unlabelled(tmp_path)
    rows = SPLITS["train"].rows
    assert name_classes(tmp_path) == CLASSES and find_labels(tmp_path, rows).tolist() == [0, 1, 1]
    assert write_labels(tmp_path, rows).equals(rows)
