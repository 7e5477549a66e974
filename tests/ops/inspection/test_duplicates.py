"""Planted duplicates are found, and real digits, all different, are not taken for duplicates."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from ops.datasets.identity import content_ids
from ops.inspection.duplicates import NEAR, find_exact, find_near
from tests.inspected import take_digits

Change = Callable[[np.ndarray], np.ndarray]
PLANTED = tuple(range(0, 100, 10))


def move(images: np.ndarray) -> np.ndarray:
    return np.roll(images, (1, 1), axis=(1, 2))


def brighten(images: np.ndarray) -> np.ndarray:
    return (images * 0.8).astype(np.uint8)


def roughen(images: np.ndarray) -> np.ndarray:
    noise = np.random.default_rng(0).normal(0, 8, images.shape)
    return np.clip(images + noise, 0, 255).astype(np.uint8)


def mirror(images: np.ndarray) -> np.ndarray:
    return images[:, :, ::-1]


def turn(images: np.ndarray) -> np.ndarray:
    turned = [Image.fromarray(image[..., 0]).rotate(4, Image.Resampling.BICUBIC) for image in images]
    return np.stack([np.asarray(image)[..., None] for image in turned])


def test_exact_duplicates_are_grouped_by_content() -> None:
    images, _ = take_digits(20)
    images[[7, 12]] = images[3]
    images[19] = images[0]
    groups = find_exact(content_ids(images))
    assert [(group.kind, group.rows) for group in groups] == [("exact", (0, 19)), ("exact", (3, 7, 12))]
    splits = np.array(["train"] * 19 + ["test"])
    assert [group.spans(splits) for group in groups] == [True, False]


@pytest.mark.parametrize("change", [move, brighten, roughen, mirror, turn])
def test_altered_copies_are_found(change: Change) -> None:
    images, labels = take_digits(200, 24)
    planted = np.array(PLANTED)
    both = np.concatenate([images, change(images[planted])])
    groups = find_near(both, np.concatenate([labels, labels[planted]]), content_ids(both))
    pairs = {group.rows: group for group in groups}
    found = [pairs[row, 200 + place] for place, row in enumerate(PLANTED) if (row, 200 + place) in pairs]
    assert len(found) >= 9
    assert all(group.distance <= NEAR for group in groups)
    if change is mirror:
        assert sum(group.mirrored for group in found) >= len(found) - 2  # a zero is its own mirror image
    else:
        assert not any(group.mirrored for group in found)


def test_different_digits_are_no_duplicates() -> None:
    images, labels = take_digits(400)
    assert len(find_near(images, labels, content_ids(images))) <= 2


def test_many_versions_of_one_picture_are_one_group() -> None:
    """Versions lie near each other: without a least spacing they would pass for the usual spacing."""
    images, labels = take_digits(100, 24)
    versions = np.concatenate([move(images[:1]), brighten(images[:1]), roughen(images[:1]), mirror(move(images[:1]))])
    both = np.concatenate([images, versions])
    groups = find_near(both, np.concatenate([labels, np.repeat(labels[0], 4)]), content_ids(both))
    (group,) = [group for group in groups if 0 in group.rows or 101 in group.rows]
    assert len(set(group.rows) & {0, 100, 101, 102, 103}) >= 4


def test_exact_duplicates_take_part_once_and_few_images_have_none() -> None:
    images, labels = take_digits(40)
    images[30:] = images[5]
    assert all(not set(group.rows) & set(range(30, 40)) for group in find_near(images, labels, content_ids(images)))
    assert find_near(images[:2], labels[:2], content_ids(images[:2])) == []
    assert find_near(images[:0], labels[:0], []) == []
