"""Pictures of something else are found among digits; digits themselves hardly ever are."""

from __future__ import annotations

import numpy as np

from ops.inspection.features import describe_set
from ops.inspection.outliers import find_outliers, measure_excess
from tests.inspected import take_digits


def test_another_kind_of_picture_is_found() -> None:
    images, labels = take_digits(300)
    strange = np.array([20, 120, 220])
    images[strange] = 255 - images[strange]
    rows, far = find_outliers(describe_set(images), labels)
    assert set(strange) <= set(rows.tolist())
    assert len(rows) <= 8
    assert (np.diff(far) <= 0).all()


def test_digits_among_themselves_are_usual() -> None:
    images, labels = take_digits(500)
    assert len(find_outliers(describe_set(images), labels)[0]) <= 5


def test_few_images_and_small_classes_have_no_outliers() -> None:
    images, labels = take_digits(15)
    assert len(find_outliers(describe_set(images), labels)[0]) == 0
    images, labels = take_digits(100)
    labels[:3] = 10
    rows, _ = find_outliers(describe_set(images), labels)
    assert not set(rows.tolist()) & {0, 1, 2}


def test_equal_images_are_no_outliers() -> None:
    images = np.repeat(take_digits(1)[0], 40, axis=0)
    assert len(find_outliers(describe_set(images), np.arange(40) % 2)[0]) == 0


def test_excess_is_in_robust_standard_deviations() -> None:
    normal = np.random.default_rng(0).normal(3, 2, 100_001)
    excess = measure_excess(normal)
    assert abs(np.median(excess)) < 1e-9
    assert abs(excess.std() - 1) < 0.02
    assert measure_excess(np.array([1.0, 1.0, 1.0, 5.0])).tolist() == [0, 0, 0, 0]
