"""Stored real images as pictures of an inspection: named by their ids, with the units of the source's groups."""

from __future__ import annotations

import numpy as np

from ops.datasets.identity import content_ids, number_repeats
from ops.datasets.pixels import PixelDataset, build_rows
from ops.datasets.units import link_groups
from ops.inspection.stored import take_pictures
from tests.inspected import take_digits

NAMES = tuple("0123456789")


def make(images: np.ndarray, labels: np.ndarray, split: str) -> PixelDataset:
    return PixelDataset(images, build_rows(labels, number_repeats(content_ids(images)), split=split), NAMES)


def test_pictures_have_the_units_of_their_source() -> None:
    images, labels = take_digits(30)
    splits = {
        "train": make(images[:20], labels[:20], "train"),
        "validation": make(images[20:], labels[20:], "validation"),
    }
    keys = content_ids(images)
    groups = link_groups(keys, [str(number // 3) for number in range(30)])
    found, counts = take_pictures(splits, groups)
    assert found.units is not None and found.ids == keys
    assert found.units.tolist() == [groups[key] for key in keys]
    assert counts.images.sum(axis=0).tolist() == [20, 10]
    assert take_pictures(splits, {})[0].units is None
