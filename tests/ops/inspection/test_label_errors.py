"""Planted label errors are found with known recall and precision; nothing is claimed where nothing can be learnt."""

from __future__ import annotations

import numpy as np
import pytest

from ops.inspection.features import describe_set
from ops.inspection.label_errors import count_confidently, cross_fit, find_label_errors, find_suspects
from tests.inspected import take_digits

RATE = 0.05


@pytest.fixture(scope="module")
def digits() -> tuple[np.ndarray, np.ndarray]:
    images, labels = take_digits(700)
    return describe_set(images), labels


def plant(labels: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    wrong = rng.random(len(labels)) < RATE
    return np.where(wrong, (labels + rng.integers(1, 10, len(labels))) % 10, labels), wrong


def test_planted_errors_are_found(digits: tuple[np.ndarray, np.ndarray]) -> None:
    features, labels = digits
    noisy, wrong = plant(labels, 0)
    found = find_label_errors(features, noisy)
    assert found.judged
    assert wrong[found.rows].mean() > 0.9
    assert wrong[found.rows].sum() > 0.6 * wrong.sum()
    corrected = found.suggested == labels[found.rows]
    assert corrected.mean() > 0.85
    assert (found.own <= 0.03).all() and (found.other >= 0.5).all()
    assert (np.diff((found.own + 1e-9) / found.other) >= 0).all()


def test_an_error_that_all_images_of_a_unit_share_is_found_too(digits: tuple[np.ndarray, np.ndarray]) -> None:
    """Of three frames of one film with the same wrong label, two would teach the classifier that of the third."""
    features, labels = digits[0][:300], digits[1][:300]
    noisy, wrong = plant(labels, 0)
    frames = np.concatenate([features + 0.01 * np.random.default_rng(i).normal(size=features.shape) for i in range(3)])
    films = np.tile(np.arange(300), 3)
    apart, together = (find_label_errors(frames, np.tile(noisy, 3), units).rows for units in (None, films))
    planted = np.tile(wrong, 3)
    assert planted[together].mean() > 0.9 and planted[together].sum() > 0.6 * planted.sum()
    assert planted[apart].sum() < 0.1 * planted.sum()


@pytest.mark.parametrize("seed", range(12))
def test_a_class_of_two_patients_is_judged_although_one_is_suspect(seed: int) -> None:
    """Without the suspect a fold would learn from one class alone; then the first answers stay."""
    rng, labels = np.random.default_rng(seed), np.repeat([0, 1], [40, 4])
    features = rng.normal(size=(44, 10))
    features[40:43] += 6.0  # the fourth, of another patient, looks like class 0
    found = find_label_errors(features, labels, np.concatenate([np.arange(40), [100, 100, 100, 101]]))
    assert set(found.rows.tolist()) <= set(range(44))


def test_right_labels_are_left_alone(digits: tuple[np.ndarray, np.ndarray]) -> None:
    features, labels = digits
    assert len(find_label_errors(features, labels).rows) <= 0.01 * len(labels)


def test_equal_arguments_give_equal_suspects(digits: tuple[np.ndarray, np.ndarray]) -> None:
    features, labels = digits
    noisy, _ = plant(labels, 1)
    one, other = find_label_errors(features[:300], noisy[:300]), find_label_errors(features[:300], noisy[:300])
    assert one.rows.tolist() == other.rows.tolist() and one.own.tolist() == other.own.tolist()


def test_shuffled_labels_are_not_judged(digits: tuple[np.ndarray, np.ndarray]) -> None:
    features, labels = digits
    found = find_label_errors(features, np.random.default_rng(0).permutation(labels))
    assert not found.judged and len(found.rows) == 0
    assert found.skill is not None and found.skill.accuracy < 0.25


@pytest.mark.parametrize("labels", [[0] * 6, [0, 0, 0, 1, 1], [0, 1, 2, 3], []])
def test_too_few_images_are_not_judged(labels: list[int]) -> None:
    features = np.random.default_rng(0).normal(size=(len(labels), 3))
    found = find_label_errors(features, np.array(labels, np.int64))
    assert found.skill is None and not found.judged and len(found.rows) == 0


def test_classes_of_one_image_are_left_out(digits: tuple[np.ndarray, np.ndarray]) -> None:
    """Nobody can learn a class from no image: its only image would always be a suspect."""
    features, labels = digits
    rare = labels.copy()
    rare[5] = 10
    assert 5 not in find_label_errors(features, rare).rows


def test_an_image_does_not_judge_itself(digits: tuple[np.ndarray, np.ndarray]) -> None:
    features, labels = digits
    features, labels = features[:200], labels[:200]
    everyone = np.ones(200, bool)
    before = cross_fit(features, labels, everyone, 0.1, seed=0)
    wrong = labels.copy()
    wrong[0] = (wrong[0] + 1) % 10
    # Folds are drawn class by class, so a changed label moves others; what is the same is who is likely.
    after = cross_fit(features, wrong, everyone, 0.1, seed=0)
    assert before[0].argmax() == after[0].argmax() == labels[0]


def test_thresholds_are_those_of_the_paper() -> None:
    """By hand: t = (0.6, 0.7). Row 2 counts as class 1 (0.9 >= 0.7), row 1 as none."""
    probabilities = np.array([[0.8, 0.2], [0.55, 0.45], [0.1, 0.9], [0.95, 0.05], [0.2, 0.8], [0.4, 0.6]])
    labels = np.array([0, 0, 0, 0, 1, 1])
    assert probabilities[:4, 0].mean() == pytest.approx(0.6) and probabilities[4:, 1].mean() == pytest.approx(0.7)
    assert count_confidently(probabilities, labels).tolist() == [0, -1, 1, 0, 1, -1]
    rows, _ = find_suspects(probabilities, labels)
    assert rows.tolist() == []  # its label has a probability of 0.1, which is not small
    probabilities[2] = 0.02, 0.98
    rows, suggested = find_suspects(probabilities, labels)
    assert (rows.tolist(), suggested.tolist()) == ([2], [1])
