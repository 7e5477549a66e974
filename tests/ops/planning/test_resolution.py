"""The smallest effect that a test split can show: the normal formula, the metrics, and when a warning is due."""

from __future__ import annotations

import numpy as np
import pytest

from ops.planning.resolution import describe_resolution, find_resolution, warn_of_resolution


def test_the_formula_for_accuracy() -> None:
    found = find_resolution(np.array([41, 41]), "accuracy", confidence=0.95, errors=None)
    assert found.effect == pytest.approx((1.959964 + 0.841621) * np.sqrt(0.15 * 0.85 / 82))
    assert (found.is_assumed, found.is_enough) == (True, False)
    assert "about 11 points on (if arms err on 15 % of the images)" in describe_resolution(found)


def test_a_hundred_times_the_images_show_a_tenth() -> None:
    one, many = (find_resolution(np.full(4, n), "accuracy", confidence=0.95, errors=0.1) for n in (25, 2500))
    assert one.effect == pytest.approx(10 * many.effect)
    assert many.is_enough and warn_of_resolution(many) is None
    assert "arms err on validation on 10 %" in describe_resolution(many)


def test_balanced_accuracy_and_the_worst_class_are_decided_by_small_classes() -> None:
    counts = np.array([900, 90, 10])
    plain, balanced, worst = (
        find_resolution(counts, metric, confidence=0.95, errors=0.1)
        for metric in ("accuracy", "balanced_accuracy", "worst_class")
    )
    assert plain.effect < balanced.effect < worst.effect
    equal = find_resolution(np.full(3, 100), "balanced_accuracy", confidence=0.95, errors=0.1)
    assert equal.effect == find_resolution(np.full(3, 100), "accuracy", confidence=0.95, errors=0.1).effect
    assert balanced == find_resolution(np.array([900, 0, 90, 10]), "balanced_accuracy", confidence=0.95, errors=0.1)


def test_groups_whose_images_are_alike_show_less() -> None:
    found = find_resolution(np.array([400, 400]), "accuracy", confidence=0.95, errors=None, groups=50)
    assert found.alike == pytest.approx(4 * found.effect)
    sentence = describe_resolution(found)
    assert "800 test images show differences from about 4 points on" in sentence
    assert (
        "of about 50 groups, and where images of a group are answered alike, only from about 14 points on" in sentence
    )
    warning = warn_of_resolution(found)
    assert warning is not None
    assert "800 test images of about 50 groups only differences of about 4 to 14 points" in warning


def test_the_warning_names_the_remedy_that_there_is() -> None:
    found = find_resolution(np.array([82]), "accuracy", confidence=0.95, errors=None)
    warning = warn_of_resolution(found)
    assert warning is not None and warning.startswith("with 82 test images only differences of about 11 points")
    assert "folds: 5" in warning
    assert "folds" not in str(warn_of_resolution(found, folds=5))


def test_arms_without_an_error_do_not_promise_everything() -> None:
    assert find_resolution(np.array([100]), "accuracy", confidence=0.95, errors=0.0).effect > 0.02
