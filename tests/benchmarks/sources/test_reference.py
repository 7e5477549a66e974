"""The reference model on a source: classes that one kind of feature tells apart, and one look at test."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.sources.reference import measure_reference


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


def test_validation_chooses_the_features_that_tell_the_classes_apart() -> None:
    bars = measure_reference({split: draw_bars(60, seed) for seed, split in enumerate(("train", "validation", "test"))})
    assert bars.accuracy == bars.balanced == bars.validation == 1
    plain = measure_reference(
        {split: draw_colours(60, seed) for seed, split in enumerate(("train", "validation", "test"))}
    )
    assert plain.accuracy >= 0.95
    assert plain.features == "gradient histograms and colours"


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
