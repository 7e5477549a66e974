"""The probe: heads never see the labels of their own fold, and answer as logistic regression does."""

from __future__ import annotations

import numpy as np
import pytest

from ops.judging.probe import NEVER, fit_heads

RNG = np.random.default_rng(0)
LABELS = np.arange(60) % 3
FOLDS = np.arange(60) // 3 % 2
FEATURES = (np.eye(3)[LABELS] @ RNG.normal(size=(3, 5)) + 0.3 * RNG.normal(size=(60, 5))).astype(np.float32)


def test_it_names_images_whose_labels_it_has_not_seen() -> None:
    found = fit_heads(FEATURES, LABELS, FOLDS, 3)
    assert (found.logits.argmax(1) == LABELS).mean() > 0.9
    assert found.weights.shape == (2, 3, 5) and found.intercepts.shape == (2, 3) and found.mean.shape == (2, 5)
    for fold in range(2):
        held = fold == FOLDS
        standardised = (FEATURES[held] - found.mean[fold]) / found.deviation[fold]
        again = standardised @ found.weights[fold].T + found.intercepts[fold]
        np.testing.assert_allclose(found.logits[held], again, rtol=1e-5)


def test_labels_of_a_fold_do_not_reach_its_own_head(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ops.judging.probe.STRENGTHS", (10.0,))  # which is chosen by all labels
    turned = np.where(FOLDS == 0, (LABELS + 1) % 3, LABELS)
    one, other = fit_heads(FEATURES, LABELS, FOLDS, 3), fit_heads(FEATURES, turned, FOLDS, 3)
    np.testing.assert_array_equal(one.weights[0], other.weights[0])
    assert np.abs(one.weights[1] - other.weights[1]).max() > 0.1


def test_a_class_that_a_fold_had_no_image_of_is_never_named_there() -> None:
    labels = np.where((LABELS == 2) & (FOLDS == 0), 0, LABELS)  # class 2 is in fold 1 alone
    found = fit_heads(FEATURES, labels, FOLDS, 3)
    assert found.intercepts[1, 2] == NEVER and (found.logits[FOLDS == 1].argmax(1) != 2).all()
    assert np.isfinite(found.logits).all() and np.isfinite(found.temperature)


def test_one_class_cannot_be_told_apart() -> None:
    with pytest.raises(ValueError, match="fold 0 leaves fewer than two classes"):
        fit_heads(FEATURES, np.where(FOLDS == 0, 1, 0), FOLDS, 3)
