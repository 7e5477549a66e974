"""Typicality: the covariance against scikit-learn's, distances against the formula, classes that a fold lacks."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.covariance import ledoit_wolf

from ops.filters.typicality import fit_classes, measure_typicality, shrink_covariance


@pytest.mark.parametrize(("count", "size"), [(12, 30), (200, 8), (2, 3)])
def test_the_covariance_is_that_of_ledoit_and_wolf(count: int, size: int) -> None:
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(count, size)) @ rng.normal(size=(size, size))
    rows -= rows.mean(axis=0)
    expected, _ = ledoit_wolf(rows, assume_centered=True)
    np.testing.assert_allclose(shrink_covariance(rows), expected, rtol=1e-8, atol=1e-10)


def draw(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 3
    centres = np.array([[0, 0, 0, 0], [6, 0, 0, 0], [0, 0, 6, 0]])
    return (centres[labels] + rng.normal(size=(count, 4)) * [1, 2, 1, 0.5]).astype(np.float32), labels


def test_the_score_is_minus_the_mean_squared_mahalanobis_distance_of_the_networks() -> None:
    fitted, expected = [], []
    asked, labels = draw(20, 9)
    for seed in (0, 1):
        features, known = draw(300, seed)
        fitted.append(fit_classes(features, known, 3))
        means = np.stack([features[known == k].mean(axis=0) for k in range(3)]).astype(np.float64)
        inverse = np.linalg.inv(shrink_covariance(features - means[known]))
        away = asked - means[labels]
        expected.append(-np.einsum("nd,de,ne->n", away, inverse, away) / 4)
    found = measure_typicality(fitted, [asked, asked], labels)
    np.testing.assert_allclose(found, np.mean(expected, axis=0), rtol=1e-3)
    assert found.dtype == np.float32
    assert np.mean(found) == pytest.approx(-1, abs=0.3)


def test_another_label_is_less_typical() -> None:
    features, known = draw(300, 0)
    fitted = [fit_classes(features, known, 3)]
    asked, labels = draw(60, 1)
    right, wrong = (measure_typicality(fitted, [asked], shown) for shown in (labels, (labels + 1) % 3))
    assert (right > wrong).all()


def test_a_network_without_a_class_is_left_out_and_one_network_must_have_it() -> None:
    features, known = draw(300, 0)
    whole, partial = fit_classes(features, known, 3), fit_classes(features[known < 2], known[known < 2], 3)
    asked, labels = draw(9, 1)
    both = measure_typicality([whole, partial], [asked, asked], labels)
    alone = measure_typicality([whole], [asked], labels)
    np.testing.assert_allclose(both[labels == 2], alone[labels == 2], rtol=1e-6)
    with pytest.raises(ValueError, match="label 2 has no training images"):
        measure_typicality([partial], [asked], labels)
    with pytest.raises(ValueError, match="label 3"):
        measure_typicality([whole], [asked], np.full(9, 3))
    assert len(measure_typicality([whole], [asked[:0]], labels[:0])) == 0


def test_features_that_never_vary_are_ignored() -> None:
    features, known = draw(300, 0)
    dead = np.concatenate([features, np.zeros((300, 2), np.float32)], axis=1)
    found = measure_typicality([fit_classes(dead, known, 3)], [dead], known)
    assert np.isfinite(found).all()
    same = np.ones((10, 3), np.float32)
    assert (measure_typicality([fit_classes(same, np.zeros(10, int), 1)], [same], np.zeros(10, int)) == 0).all()
