"""The rules: images with planted faults, each of which must get its own reason while clean ones are kept."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from ops.filters.rules import REASONS, Scores, decide, score_images
from ops.recipe.schema import FilterSettings

SETTINGS = FilterSettings()


def draw_images(count: int, seed: int, side: int = 16) -> Tensor:
    """Independent noise images: all of them lie about equally far apart."""
    return torch.randint(
        0, 256, (count, 1, side, side), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed)
    )


def disturb(image: Tensor, seed: int, grey_levels: int = 4) -> Tensor:
    noise = torch.randint(-grey_levels, grey_levels + 1, image.shape, generator=torch.Generator().manual_seed(seed))
    return (image.int() + noise).clamp(0, 255).to(torch.uint8)


def make_sure(labels: np.ndarray, classes: int = 2) -> np.ndarray:
    """Probabilities of a scorer that agrees with every label."""
    return np.full((len(labels), classes), 0.1 / (classes - 1)) + (0.9 - 0.1 / (classes - 1)) * np.eye(classes)[labels]


def make_scores(count: int) -> Scores:
    return Scores(
        label_probability=np.ones(count, np.float32), predicted=np.zeros(count, np.int64),
        train_distance=np.ones(count, np.float32), nearest_train=np.zeros(count, np.int64),
        generated_distance=np.full(count, np.inf, np.float32), nearest_generated=np.full(count, -1),
        copy_of_train=np.zeros(count, bool), repeat=np.zeros(count, bool),
    )  # fmt: skip


@pytest.fixture(scope="module")
def planted() -> tuple[Tensor, np.ndarray, Tensor, np.ndarray, list[list[str]]]:
    """Generated images, labels, training images, probabilities and the reasons that each image deserves."""
    train, clean = draw_images(40, 0), draw_images(20, 1)
    rows: list[tuple[Tensor, int, list[str]]] = [(clean[i], i % 2, []) for i in range(12)]
    rows += [
        (train[3], 0, ["copy_of_train"]),
        (train[39], 1, ["copy_of_train"]),
        (disturb(train[7], 2), 0, ["near_copy_of_train"]),
        (disturb(train[8], 3), 1, ["near_copy_of_train"]),
        (clean[0], 0, ["repeat"]),
        (clean[5], 1, ["repeat"]),
        (disturb(clean[2], 4), 0, ["near_repeat"]),
        (disturb(clean[1], 5), 1, ["near_repeat"]),
        (clean[12], 0, ["wrong_label"]),
        (clean[13], 1, ["wrong_label"]),
        (disturb(train[9], 6), 0, ["wrong_label", "near_copy_of_train"]),
        (clean[14], 0, []),
        (clean[15], 1, []),
        (clean[16], 0, ["surplus"]),
        (clean[17], 1, ["surplus"]),
    ]
    labels = np.array([label for _, label, _ in rows])
    wrong = np.array(["wrong_label" in why for _, _, why in rows])
    probabilities = make_sure(np.where(wrong, 1 - labels, labels))
    return torch.stack([image for image, _, _ in rows]), labels, train, probabilities, [why for _, _, why in rows]


def test_every_planted_fault_gets_its_reason_and_clean_images_are_kept(
    planted: tuple[Tensor, np.ndarray, Tensor, np.ndarray, list[list[str]]],
) -> None:
    images, labels, train, probabilities, expected = planted
    scores = score_images(images, labels, train, probabilities, SETTINGS)
    assert decide(scores, labels, [7, 7], SETTINGS) == expected
    assert {reason for why in expected for reason in why} == set(REASONS)


def test_the_scores_name_what_an_image_was_compared_with(
    planted: tuple[Tensor, np.ndarray, Tensor, np.ndarray, list[list[str]]],
) -> None:
    images, labels, train, probabilities, expected = planted
    scores = score_images(images, labels, train, probabilities, SETTINGS)
    assert scores.nearest_train[12:16].tolist() == [3, 39, 7, 8]
    assert scores.train_distance[12:14].tolist() == [0, 0]
    assert scores.nearest_generated[16:20].tolist() == [0, 5, 2, 1]
    assert scores.generated_distance[16:18].tolist() == [0, 0]
    assert (labels[scores.nearest_generated[2:]] == labels[2:]).all()  # repeats are looked for within a class
    assert scores.nearest_generated[:2].tolist() == [-1, -1]
    wrong = np.array(["wrong_label" in why for why in expected])
    np.testing.assert_allclose(scores.label_probability, np.where(wrong, 0.1, 0.9), rtol=1e-6)
    np.testing.assert_array_equal(scores.predicted, np.where(wrong, 1 - labels, labels))


def test_thresholds_of_zero_reject_exact_copies_and_repeats_only(
    planted: tuple[Tensor, np.ndarray, Tensor, np.ndarray, list[list[str]]],
) -> None:
    images, labels, train, probabilities, _ = planted
    loose = FilterSettings(min_label_probability=0.0, min_train_distance=0.0, min_generated_distance=0.0)
    reasons = decide(score_images(images, labels, train, probabilities, loose), labels, [100, 100], loose)
    assert [row for row, why in enumerate(reasons) if why] == [12, 13, 16, 17]


@pytest.mark.parametrize("dull", [False, True])
def test_an_unseen_real_image_lies_about_one_spacing_from_the_training_images(dull: bool) -> None:
    # Images on a three-dimensional surface, as real ones are; `dull` has a tenth of the contrast.
    rng = np.random.default_rng(0)
    place = np.stack(np.meshgrid(np.arange(16), np.arange(16)), -1) / 16
    phases = rng.uniform(0, 1, (600, 3))
    waves = [np.sin(2 * np.pi * (place @ direction + phases[:, [k], None]))
             for k, direction in enumerate(([1, 0], [0, 1], [1, 1]))]  # fmt: skip
    grey = 127.5 + np.mean(waves, axis=0) * (12 if dull else 120)
    images = torch.from_numpy(grey.astype(np.uint8))[:, None]
    labels = np.zeros(200, np.int64)
    scores = score_images(images[400:], labels, images[:400], make_sure(labels), SETTINGS)
    assert np.median(scores.train_distance) == pytest.approx(1, abs=0.2)
    kept = decide(scores, labels, [200], SETTINGS)
    assert sum("near_copy_of_train" in why for why in kept) < 40


def test_a_near_copy_of_a_training_image_that_occurs_twice_is_found() -> None:
    train = draw_images(40, 0)
    train = torch.cat([train, train[7:8]])
    labels = np.zeros(2, np.int64)
    images = torch.stack([disturb(train[7], 2), disturb(train[8], 2)])
    reasons = decide(score_images(images, labels, train, make_sure(labels), SETTINGS), labels, [9], SETTINGS)
    assert reasons == [["near_copy_of_train"], ["near_copy_of_train"]]


def test_no_generated_images_get_no_scores() -> None:
    labels = np.empty(0, np.int64)
    scores = score_images(draw_images(0, 0), labels, draw_images(5, 1), np.empty((0, 2)), SETTINGS)
    assert decide(scores, labels, [0, 0], SETTINGS) == []


def test_one_image_can_have_several_reasons_and_an_exact_copy_is_not_also_a_near_one() -> None:
    scores = replace(
        make_scores(3),
        label_probability=np.array([0.1, 1, 1], np.float32),
        train_distance=np.array([0.2, 0, 1], np.float32),
        copy_of_train=np.array([False, True, False]),
        generated_distance=np.array([0.1, np.inf, 0], np.float32),
        repeat=np.array([False, False, True]),
    )
    assert decide(scores, np.zeros(3, np.int64), [3], SETTINGS) == [
        ["wrong_label", "near_copy_of_train", "near_repeat"], ["copy_of_train"], ["repeat"],
    ]  # fmt: skip


def test_a_score_on_the_threshold_passes() -> None:
    scores = replace(
        make_scores(1),
        label_probability=np.array([0.5], np.float32),
        train_distance=np.array([0.5], np.float32),
        generated_distance=np.array([0.25], np.float32),
    )
    assert decide(scores, np.zeros(1, np.int64), [1], SETTINGS) == [[]]


@given(
    rows=st.lists(st.tuples(st.integers(0, 2), st.booleans()), max_size=40),
    wanted=st.tuples(*[st.integers(0, 8)] * 3),
)
@settings(max_examples=80)
def test_each_class_is_filled_in_order_up_to_what_is_wanted(
    rows: list[tuple[int, bool]], wanted: tuple[int, int, int]
) -> None:
    labels = np.array([label for label, _ in rows], np.int64)
    good = np.array([passes for _, passes in rows], bool)
    scores = replace(make_scores(len(rows)), label_probability=np.where(good, 1.0, 0.0).astype(np.float32))
    reasons = decide(scores, labels, wanted, SETTINGS)
    for label, limit in enumerate(wanted):
        members = np.flatnonzero((labels == label) & good).tolist()
        assert [row for row in members if not reasons[row]] == members[:limit]
        assert all(reasons[row] == ["surplus"] for row in members[limit:])
    assert all(why == ["wrong_label"] for why, passes in zip(reasons, good, strict=True) if not passes)
