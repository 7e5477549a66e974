"""The search finds the moves that are in pictures whose moves are known."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ops.datasets.nuisances import rotate_images
from ops.generators.geometry.moves import Ranges
from ops.generators.geometry.search import Found, Trial, choose_rows, find_ranges, list_narrower, split_excess
from ops.metrics.energy import estimate_energy_distance
from ops.recipe.geometry import GeometrySettings

SIDE, EACH = 20, 150
LABELS = np.arange(2 * EACH) % 2


def draw_strokes(seed: int = 0) -> np.ndarray:
    """Upright pictures uint8 [n, SIDE, SIDE, 1]: an L or a T of LABELS, each of its own place, size and brightness."""
    rng = np.random.default_rng(seed)
    images = np.zeros((len(LABELS), SIDE, SIDE, 1), np.uint8)
    for image, label in zip(images, LABELS, strict=True):
        top, left = rng.integers(5, 8, 2)
        high, wide, thick = rng.integers(6, 9), rng.integers(5, 8), rng.integers(1, 3)
        level = rng.integers(150, 256)
        stem, bar = (left + wide // 2, top) if label else (left, top + high - thick)
        image[top : top + high, stem : stem + thick] = level
        image[bar : bar + thick, left : left + wide] = level
    return images


def search(images: np.ndarray, **keys: object) -> Found:
    settings = GeometrySettings.model_validate({"kind": "geometry", **keys})
    return find_ranges(torch.from_numpy(images), LABELS, settings, seed=3)


def test_strokes_that_lie_in_all_directions_may_be_turned_and_upright_ones_not() -> None:
    upright = draw_strokes()
    turned = rotate_images(upright, np.random.default_rng(1).uniform(-180, 180, len(upright)))
    only = {"scale": 0.0, "shift": 0.0, "mirror": False}
    found = search(turned, **only)
    assert found.ranges == Ranges(rotation=180.0)
    assert (len(found.trials), found.images) == (1, len(LABELS))
    refused = search(upright, **only)
    assert refused.ranges.rotation == 0
    assert [trial.width for trial in refused.trials] == [180.0, 90.0, 45.0, 22.5]
    assert all(trial.excess > 2.5 * trial.error > 0 for trial in refused.trials)


def test_a_move_that_turns_one_class_into_another_does_not_pass() -> None:
    """Together the two classes are as often mirrored as not."""
    images = draw_strokes(2)
    images[LABELS == 0] = draw_strokes(3)[LABELS == 0][:, :, ::-1]
    images[LABELS == 1] = draw_strokes(4)[LABELS == 0]  # an L and its mirror image
    only = {"rotation": 0.0, "scale": 0.0, "shift": 0.0}
    assert not search(images, **only).ranges.mirror
    mixed = np.where((np.arange(len(images)) // 2 % 2).astype(bool)[:, None, None, None], images, images[:, :, ::-1])
    assert search(mixed, **only).ranges.mirror


def test_equal_images_and_seeds_give_equal_ranges_and_more_errors_wider_ones() -> None:
    images = draw_strokes(5)
    one, again, lenient = search(images), search(images), search(images, errors=1e6)
    assert one == again
    assert lenient.ranges == Ranges(180.0, 0.3, 0.15, True)
    assert one.ranges != lenient.ranges


def test_the_parts_add_up_to_the_excess_and_change_their_sign_with_their_pair() -> None:
    rng = np.random.default_rng(0)
    moved, still, others = rng.normal(0.5, 1, (9, 4)), rng.normal(0, 1, (9, 4)), rng.normal(0, 1, (7, 4))

    def find_excess(one: np.ndarray, other: np.ndarray) -> float:
        return estimate_energy_distance(one, others).value - estimate_energy_distance(other, others).value

    parts = split_excess(moved, still, others)
    assert parts.sum() == pytest.approx(find_excess(moved, still))
    turned = np.array([1, -1, 1, 1, -1, -1, 1, -1, 1])
    where = (turned > 0)[:, None]
    swapped = find_excess(np.where(where, moved, still), np.where(where, still, moved))
    assert swapped == pytest.approx((parts * turned).sum())


def test_the_largest_classes_take_part_in_equal_numbers_as_far_as_they_go() -> None:
    labels = np.repeat(np.arange(5), (50, 7, 30, 12, 9))
    found = {
        (most, least): [len(rows) for rows in choose_rows(labels, most, least, np.random.default_rng(0))]
        for most, least in ((60, 10), (60, 25), (20, 10), (500, 6), (10, 10))
    }
    assert found == {
        (60, 10): [24, 24, 12],
        (60, 25): [30, 30],
        (20, 10): [10, 10],
        (500, 6): [50, 30, 12, 9, 7],
        (10, 10): [10],
    }
    rows = np.concatenate(choose_rows(labels, 500, 6, np.random.default_rng(0)))
    assert len(set(rows.tolist())) == len(labels)
    with pytest.raises(ValueError, match="no class has 51 images"):
        choose_rows(labels, 500, 51, np.random.default_rng(0))


def test_the_least_supported_move_is_narrowed_first_and_the_last_moves_are_left() -> None:
    trials = (
        Trial("rotation", 180.0, 0.01, 0.02, True),  # half a standard error
        Trial("scale", 0.3, 0.09, 0.02, False),
        Trial("scale", 0.15, 0.02, 0.02, True),
        Trial("shift", 0.16, 0.05, 0.02, True),
        Trial("mirror", 1.0, 0.024, 0.02, True),
    )
    found = Found(Ranges(180.0, 0.15, 0.16, True), trials, 40)
    narrower = list(list_narrower(found))
    assert narrower == [
        Ranges(180.0, 0.15, 0.16, True),
        Ranges(180.0, 0.15, 0.08, True),  # 2.5 errors, then 1.25
        Ranges(180.0, 0.15, 0.04, True),  # then 0.6
        Ranges(180.0, 0.15, 0.04, False),  # 1.2: mirroring is left out at once; what is left is one error at most
    ]
    assert list(list_narrower(Found(Ranges(), trials[1:2], 40))) == [Ranges()]
