"""The reference model: classes that one kind of feature tells apart, classes that nothing does, the stored file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ops.classifiers.reference import fitting, model
from ops.classifiers.reference.features import FEATURES
from ops.classifiers.reference.fitting import Fit, fit_reference, measure_scale, thin
from ops.classifiers.reference.model import load_reference, save_reference
from ops.datasets import folds
from ops.datasets.folds import divide_into_folds
from ops.recipe.design import Metric
from tests.bars import Labelled, draw_bars, draw_colours


def fit(train: Labelled, validation: Labelled, metric: Metric = "accuracy", classes: int = 2, seed: int = 0) -> Fit:
    return fit_reference(train, validation, classes=classes, metric=metric, seed=seed)


def score(found: Fit, test: Labelled) -> float:
    return float(np.mean(found.model.answer(test[0]) == test[1]))


def test_the_features_that_tell_the_classes_apart_are_chosen() -> None:
    bars = fit(draw_bars(60, 0), draw_bars(60, 1))
    assert bars.validation == bars.choice.scores[bars.choice.features] == score(bars, draw_bars(200, 2)) == 1
    assert bars.choice.judge == "cross-fitting" and bars.images == 60
    colours = fit(draw_colours(60, 0), draw_colours(60, 1), classes=3)
    assert colours.choice.features == "gradient histograms and colours"
    assert score(colours, draw_colours(200, 2)) > 0.95


@pytest.mark.parametrize("large", [1000, 50])
def test_shuffled_labels_cannot_be_learnt(large: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folds, "LARGE", large)
    rng = np.random.default_rng(0)
    train, validation, test = ((draw_bars(150, seed)[0], rng.integers(0, 2, 150)) for seed in range(3))
    found = fit(train, validation)
    assert found.choice.judge == ("validation" if large == 50 else "cross-fitting")
    assert score(found, test) == pytest.approx(0.5, abs=0.15)


def test_probabilities_are_those_of_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    for classes in (2, 3):
        values, labels = rng.standard_normal((60, 5)).astype(np.float32), rng.integers(0, classes, 60) * 2
        regression = fitting.build_regression(10.0, 5, "balanced_accuracy")
        fitting.fit_regression(regression, values, labels)
        coefficients, intercepts = fitting.read_weights(regression, 6)
        scores = np.exp(values @ coefficients.T + intercepts)
        expected = np.zeros((60, 6))
        expected[:, regression.classes_] = regression.predict_proba(values)
        assert scores / scores.sum(axis=1, keepdims=True) == pytest.approx(expected, abs=1e-5)


def test_classes_weigh_alike_unless_the_metric_is_accuracy() -> None:
    """190 images of class 0 and 10 of class 1 that nothing tells apart: one answer for all, or both equally often."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (800, 8, 8, 1), dtype=np.uint8)
    labels = (np.arange(800) % 20 == 0).astype(np.int64)
    train, validation = (images[:200], labels[:200]), (images[200:], labels[200:])
    assert np.mean(fit(train, validation, "accuracy").model.answer(images[200:])) < 0.02
    # A strong regularisation leaves the weights of the classes alone to decide.
    weighted = fitting.build_regression(1e-6, 3, "worst_class")
    plain = fitting.build_regression(1e-6, 3, "accuracy")
    values = rng.standard_normal((200, 3)).astype(np.float32)
    for regression in (weighted, plain):
        fitting.fit_regression(regression, values, labels[:200])
    assert weighted.predict_proba(values)[:, 1].mean() == pytest.approx(0.5, abs=0.01)
    assert plain.predict_proba(values)[:, 1].mean() == pytest.approx(0.05, abs=0.01)


def test_a_class_without_training_images_is_never_the_answer() -> None:
    found = fit(draw_bars(60, 0), draw_bars(60, 1), classes=4)
    assert found.model.coefficients.shape[0] == 4
    assert found.model.intercepts[2:].tolist() == [-np.inf, -np.inf]
    assert set(found.model.answer(np.random.default_rng(0).integers(0, 256, (50, 16, 16, 3), dtype=np.uint8))) <= {0, 1}


def test_a_class_of_one_image_leaves_one_class_to_learn_where_that_is_held_out() -> None:
    (images, labels), validation = draw_bars(60, 0), draw_bars(60, 1)
    kept = np.sort(np.r_[np.flatnonzero(labels == 0)[:12], np.flatnonzero(labels == 1)[:1]])
    zeros = validation[1] == 0
    found = fit((images[kept], labels[kept]), (validation[0][zeros], validation[1][zeros]))
    assert found.choice.judge == "cross-fitting" and 0 <= found.validation <= 1


def test_a_large_set_is_thinned_class_by_class(monkeypatch: pytest.MonkeyPatch) -> None:
    labels = np.repeat([0, 1, 2], [9_000, 990, 10])
    kept = thin(labels, np.random.default_rng(0))
    assert np.bincount(labels[kept]).tolist() == [4_500, 495, 10]
    assert (np.diff(kept) > 0).all()
    assert thin(labels[:5_000], np.random.default_rng(0)).tolist() == list(range(5_000))
    monkeypatch.setattr(fitting, "MOST_IMAGES", 40)
    train = draw_bars(100, 0)
    assert fit(train, draw_bars(30, 1)).images == 40


def test_folds_share_every_class() -> None:
    labels = np.repeat([0, 1], [11, 3])
    folds = divide_into_folds(labels, 5, np.random.default_rng(0))
    assert np.bincount(folds[labels == 0]).tolist() == [3, 2, 2, 2, 2]
    assert sorted(folds[labels == 1]) == [0, 1, 2]


def test_the_training_images_alone_set_the_scale_and_hardly_varying_features_are_not_blown_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    mean, scale = measure_scale(np.array([[0, 5, 1.0], [2, 5, 1.001]], np.float32))
    assert mean == pytest.approx([1, 5, 1.0005])
    assert scale == pytest.approx([1, 0.01, 0.01])
    monkeypatch.setattr(fitting, "FEATURES", {"gradient histograms": ("gradients",)})
    train = draw_bars(60, 0)
    found = [fit(train, draw_bars(60, seed)).model for seed in (1, 2)]
    assert (found[0].mean == found[1].mean).all() and (found[0].scale == found[1].scale).all()


def test_equal_seeds_give_equal_bytes_and_the_stored_model_answers_alike(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    splits = draw_colours(60, 0), draw_colours(60, 1)
    for name in ("a", "b"):
        save_reference(tmp_path / name, fit(*splits, classes=3).model)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    images, stored = draw_colours(50, 2)[0], load_reference(tmp_path / "a")
    expected = fit(*splits, classes=3).model.answer(images)
    assert (stored.answer(images) == expected).all()
    monkeypatch.setattr(model, "IMAGES_AT_ONCE", 8)
    assert (stored.answer(images) == expected).all()


def test_features_of_another_network_compete_and_are_asked_for_again(tmp_path: Path) -> None:
    """Classes by the pixel in a corner, which histograms of gradients and mean colours do not see."""
    rng = np.random.default_rng(0)

    def draw(count: int) -> Labelled:
        images = rng.integers(0, 256, (count, 16, 16, 1), dtype=np.uint8)
        labels = np.arange(count) % 2
        images[:, 3, 5, 0] = (images[:, 3, 5, 0] & 0xFE) | labels
        return images, labels

    def read_bit(images: np.ndarray) -> np.ndarray:
        return (images[:, 3, 5] & 1).astype(np.float32)

    train, validation, test = draw(60), draw(60), draw(100)
    found = fit_reference(train, validation, classes=2, metric="accuracy", seed=0, others={"a network": read_bit})
    assert found.choice.features == "a network" and found.validation == 1
    assert found.choice.scores["a network"] == 1 > max(found.choice.scores[name] for name in FEATURES)
    save_reference(tmp_path / "model.safetensors", found.model)
    stored = load_reference(tmp_path / "model.safetensors")
    assert np.array_equal(stored.answer(test[0], {"a network": read_bit}), test[1])
    with pytest.raises(KeyError, match="a network"):
        stored.answer(test[0])
