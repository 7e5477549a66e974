"""Probes against closed forms and scikit-learn, and what must not change their answers."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from ops.labelling.probes import PROBES, TEMPERATURE, Probe, answer

NEIGHBOURS = Probe("neighbours")


def make_blobs(per_class: int = 20, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Three clouds in five dimensions, the last of which says nothing."""
    rng = np.random.default_rng(seed)
    labels = np.repeat([0, 1, 2], per_class)
    values = rng.normal(size=(len(labels), 5)) + 6 * np.eye(5)[labels]
    values[:, 4] = 1.0
    return values.astype(np.float32), labels


@pytest.mark.parametrize("probe", PROBES, ids=str)
def test_clouds_that_lie_apart_are_told_apart_and_probabilities_sum_to_one(probe: Probe) -> None:
    known, labels = make_blobs()
    asked, truth = make_blobs(seed=1)
    found = answer(probe, known, labels, asked, 3)
    assert found.shape == (60, 3) and np.allclose(found.sum(axis=1), 1) and (found >= 0).all()
    assert (found.argmax(axis=1) == truth).mean() > 0.95
    # Each answer is about its own image alone, whatever else is asked.
    assert np.allclose(answer(probe, known, labels, asked[7:8], 3), found[7:8], atol=1e-6)
    # Another unit of a feature changes nothing.
    scale = np.array([1, 10, 0.1, 1, 1], np.float32)
    assert np.allclose(answer(probe, known * scale, labels, asked * scale, 3), found, atol=1e-3)


def test_the_linear_probe_is_scikit_learns_regression_on_standardised_features() -> None:
    known, labels = make_blobs()
    asked, _ = make_blobs(seed=1)
    mean, scale = known.mean(axis=0), np.where(known.std(axis=0) > 0, known.std(axis=0), 1)
    regression = LogisticRegression(C=10 / 5, class_weight="balanced", max_iter=2_000, tol=1e-8)
    expected = regression.fit((known - mean) / scale, labels).predict_proba((asked - mean) / scale)
    assert np.allclose(answer(Probe("linear", 10.0), known, labels, asked, 3), expected, atol=0.01)


def test_two_neighbours_vote_by_the_cosine_of_their_angle() -> None:
    """With labelled features at ±1 on two axes nothing is moved or scaled, so the cosines are those of the numbers."""
    known = np.array([[1, 1], [-1, -1], [1, -1], [-1, 1]], np.float32)
    labels = np.array([0, 0, 1, 1])
    angle = np.pi / 6  # from the first labelled image
    turned = np.array([[np.cos(np.pi / 4 + angle), np.sin(np.pi / 4 + angle)]], np.float32)
    cosines = np.array([np.cos(angle), -np.cos(angle), -np.sin(angle), np.sin(angle)])
    votes = np.exp(cosines / TEMPERATURE)
    found = answer(NEIGHBOURS, known, labels, turned, 2)
    assert found[0, 0] == pytest.approx(votes[:2].sum() / votes.sum(), rel=1e-4)


def test_a_class_without_labelled_images_is_never_answered_and_a_single_one_always() -> None:
    known, labels = make_blobs()
    for probe in PROBES:
        assert not answer(probe, known, labels, known, 4)[:, 3].any()
        assert (answer(probe, known[:5], labels[:5], known, 3)[:, 0] == 1).all()
