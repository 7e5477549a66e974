"""The reference model on a source: classes that one kind of feature tells apart, and one look at test."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.sources.reference import measure_reference
from tests.bars import draw_bars, draw_colours


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
