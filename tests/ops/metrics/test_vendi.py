"""The Vendi score: sets with a known number of different images, and the definition by the n x n matrix."""

from __future__ import annotations

import numpy as np
import pytest

from ops.metrics.vendi import estimate_vendi


def draw(count: int, size: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, size))


def score_by_definition(features: np.ndarray, weights: np.ndarray | None = None) -> float:
    """Friedman & Dieng 2023, eq. 3 (and 6 with weights): the entropy of the eigenvalues of √w K √w."""
    rows = features / np.linalg.norm(features, axis=1, keepdims=True)
    weights = np.full(len(rows), 1 / len(rows)) if weights is None else weights / weights.sum()
    root = np.sqrt(weights)
    values = np.linalg.eigvalsh(root[:, None] * (rows @ rows.T) * root)
    values = values[values > 1e-14]
    return float(np.exp(-(values * np.log(values)).sum()))


def test_completely_different_images_count_one_each() -> None:
    assert estimate_vendi(np.eye(7) * 3).value == pytest.approx(7)
    assert estimate_vendi(np.repeat(np.eye(7), 5, axis=0)).value == pytest.approx(7)


def test_equal_images_count_as_one() -> None:
    found = estimate_vendi(np.outer(np.arange(1, 6), draw(1, 9)[0]))  # brightness is no difference
    assert found.value == pytest.approx(1)
    assert found.error == pytest.approx(0, abs=1e-9)


def test_two_groups_have_the_entropy_of_their_shares() -> None:
    features = np.repeat(np.eye(2), [30, 10], axis=0)
    expected = np.exp(-0.75 * np.log(0.75) - 0.25 * np.log(0.25))
    assert estimate_vendi(features).value == pytest.approx(expected)


@pytest.mark.parametrize("shape", [(5, 40), (40, 5), (20, 20), (1, 3)])
def test_it_equals_the_definition_with_more_images_than_features_or_fewer(shape: tuple[int, int]) -> None:
    features = draw(*shape) + 0.5
    found = estimate_vendi(features)
    assert found.value == pytest.approx(score_by_definition(features), rel=1e-9)
    assert found.influences[0].sum() == pytest.approx(0, abs=1e-8)
    assert estimate_vendi(features * 1e140).value == pytest.approx(found.value, rel=1e-9)
    assert estimate_vendi(features * 1e-140).value == pytest.approx(found.value, rel=1e-9)


@pytest.mark.parametrize("shape", [(6, 20), (25, 4)])
def test_influences_equal_the_change_of_the_score_by_an_images_weight(shape: tuple[int, int]) -> None:
    features, step = draw(*shape) + 0.5, 1e-5
    found = estimate_vendi(features)
    for row in range(4):
        weights = np.ones(len(features))
        weights[row] += step
        gained = (score_by_definition(features, weights) - score_by_definition(features)) * len(features) / step
        assert found.influences[0][row] == pytest.approx(gained, rel=1e-2, abs=1e-3)


def test_features_of_0_count_as_one_kind() -> None:
    features = np.concatenate([np.eye(3), np.zeros((3, 3))])
    # Eigenvalues 1/6 three times and 1/2.
    expected = np.exp(3 / 6 * np.log(6) + 0.5 * np.log(2))
    assert estimate_vendi(features).value == pytest.approx(expected)
    assert estimate_vendi(np.zeros((4, 2))).value == pytest.approx(1)


def test_an_empty_set_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        estimate_vendi(np.zeros((0, 3)))
