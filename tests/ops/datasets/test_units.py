"""Units of images: equal pictures, named groups, and groups that share a picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ops.datasets.identity import content_ids, number_repeats
from ops.datasets.pixels import PixelDataset, build_rows
from ops.datasets.units import find_units, link_groups, read_units, write_groups

rng = np.random.default_rng(0)
PICTURES = rng.integers(0, 256, (5, 4, 4, 1), dtype=np.uint8)


def make(pictures: list[int], split: str) -> PixelDataset:
    images = PICTURES[pictures]
    rows = build_rows(np.zeros(len(images), int), number_repeats(content_ids(images)), split=split)
    return PixelDataset(images, rows, ("a", "b"))


def test_equal_pictures_are_a_unit_also_across_datasets(tmp_path: Path) -> None:
    units = read_units(tmp_path, make([0, 1, 0], "train"), make([2, 1], "validation"))
    assert units[0] == units[2] and units[1] == units[4]
    assert len(set(units.tolist())) == 3


def test_groups_that_share_a_picture_are_one_unit(tmp_path: Path) -> None:
    keys = content_ids(PICTURES)
    write_groups(tmp_path, link_groups([keys[0], keys[1], keys[1], keys[2], keys[3]], ["x", "x", "y", "y", "z"]))
    units = read_units(tmp_path, make([0, 1, 2, 3, 4], "train"))
    assert len(set(units[:3].tolist())) == 1
    assert len(set(units.tolist())) == 3  # x and y, z, and the picture that has no group


def test_a_source_without_groups_has_no_units_of_its_own(tmp_path: Path) -> None:
    rows = make([0, 0, 1], "test").rows
    assert find_units(tmp_path, rows) is None
    keys = content_ids(PICTURES[:2])
    write_groups(tmp_path, link_groups(keys, ["x", "x"]))
    assert find_units(tmp_path, rows).tolist() == [0, 0, 0]


def test_changed_images_belong_to_their_picture(tmp_path: Path) -> None:
    changed = 255 - PICTURES[:2]
    rows = build_rows([0, 0], content_ids(changed), split="train", parent_ids=content_ids(PICTURES[[3, 3]]))
    units = read_units(tmp_path, PixelDataset(changed, rows, ("a", "b")))
    assert units.tolist() == [0, 0]
