"""The reference model: histograms of known edges, classes that one kind of feature tells apart, one look at test."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.sources.reference import ORIENTATIONS, describe_colours, describe_gradients, measure_reference


def draw_bars(count: int, seed: int, *, side: int = 16) -> tuple[np.ndarray, np.ndarray]:
    """Class 0 has upright bars, class 1 level ones, in colours that tell nothing; uint8 [n, side, side, 3]."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 2
    images = np.empty((count, side, side, 3), np.uint8)
    for row, label in enumerate(labels):
        wave = np.sin(np.arange(side) * 1.2 + rng.uniform(0, 6))[np.newaxis, :]
        picture = np.broadcast_to(wave, (side, side)) if label == 0 else np.broadcast_to(wave.T, (side, side))
        images[row] = (128 + 60 * picture[..., np.newaxis] * rng.uniform(0.5, 1, 3)).astype(np.uint8)
    return images, labels


def draw_colours(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Three classes of one colour each, with a little noise."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 3
    colours = np.array([[200, 40, 40], [40, 200, 40], [40, 40, 200]])[labels]
    images = colours[:, None, None] + rng.integers(-9, 10, (count, 16, 16, 3))
    return images.astype(np.uint8), labels


def test_an_edge_counts_in_the_bins_of_its_orientation() -> None:
    ramp = np.broadcast_to(np.arange(16, dtype=np.uint8) * 8, (16, 16))
    across = describe_gradients(ramp[np.newaxis, ..., np.newaxis]).reshape(-1, 4, ORIENTATIONS)
    down = describe_gradients(ramp.T[np.newaxis, ..., np.newaxis]).reshape(-1, 4, ORIENTATIONS)
    assert (across[..., 0] > 0.1).all() and across[..., 1:].max() < 1e-9
    assert (down[..., 4] > 0.1).all() and down[..., 4] == pytest.approx(down[..., 5])  # 90 degrees lie between
    assert np.delete(down, (4, 5), axis=2).max() < 1e-9


def test_the_gradient_is_that_of_the_channel_where_it_is_largest_and_contrast_hardly_counts() -> None:
    images, _ = draw_bars(4, 0)
    grey = images[..., :1]
    with_less = np.concatenate([grey, grey // 2], axis=3)
    assert describe_gradients(with_less) == pytest.approx(describe_gradients(grey))
    dark = (images // 2).astype(np.uint8)
    assert np.abs(describe_gradients(dark) - describe_gradients(images)).max() < 0.1


@pytest.mark.parametrize("side", [8, 28, 32, 64])
def test_features_are_of_a_size_that_depends_on_the_side_alone(side: int) -> None:
    images = np.random.default_rng(0).integers(0, 256, (3, side, side, 3), dtype=np.uint8)
    found = describe_gradients(images)
    assert found.shape[0] == 3 and np.isfinite(found).all()
    cells = side // max(2, side // 8)
    assert found.shape[1] == (cells - 1) ** 2 * 4 * ORIENTATIONS
    assert describe_colours(images).shape == (3, 48)


def test_validation_chooses_the_features_that_tell_the_classes_apart() -> None:
    bars = measure_reference({split: draw_bars(60, seed) for seed, split in enumerate(("train", "validation", "test"))})
    assert bars.accuracy == bars.balanced == bars.validation == 1
    plain = measure_reference(
        {split: draw_colours(60, seed) for seed, split in enumerate(("train", "validation", "test"))}
    )
    assert plain.accuracy >= 0.95
    assert plain.features == "gradients and colours"


def test_shuffled_labels_cannot_be_learnt() -> None:
    rng = np.random.default_rng(0)
    splits = {
        split: (draw_bars(200, seed)[0], rng.integers(0, 2, 200))
        for seed, split in enumerate(("train", "validation", "test"))
    }
    assert measure_reference(splits).accuracy == pytest.approx(0.5, abs=0.12)


def test_test_images_do_not_choose() -> None:
    splits = {split: draw_bars(40, seed) for seed, split in enumerate(("train", "validation", "test"))}
    right = measure_reference(splits)
    images, labels = splits["test"]
    wrong = measure_reference({**splits, "test": (images, 1 - labels)})
    assert (wrong.features, wrong.strength, wrong.validation) == (right.features, right.strength, right.validation)
    assert wrong.accuracy == 1 - right.accuracy
