"""The scorer: fold sizes, recovery of a known temperature, chance accuracy on random labels, a round trip."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import log_softmax

from ops.classifiers.answering import predict
from ops.classifiers.networks.classifier import Classifier
from ops.datasets.folds import assign_folds
from ops.judging.scorer import (
    FoldResult,
    Scorer,
    fit_temperature,
    load_scorer,
    negative_log_likelihood,
    save_scorer,
    softmax,
    train_folds,
)
from ops.recipe.classifiers import ScorerSettings
from tests.networks import small_resnet

SETTINGS = ScorerSettings(steps=60, batch_size=32, width=8, folds=3, learning_rate=0.05, precision="fp32")


def make_toys(count: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    labels = np.arange(count) % 2
    images = rng.integers(0, 60, (count, 1, 12, 12))
    for image, label in zip(images, labels, strict=True):
        image[0, 6 * label : 6 * label + 6] += 150
    return images.astype(np.uint8), labels


def rebuild(result: FoldResult) -> Classifier:
    model = small_resnet(1, 2, SETTINGS.width)
    model.load_state_dict(result.state)
    return model.eval()


@pytest.fixture(scope="module")
def toys() -> tuple[np.ndarray, np.ndarray, list[FoldResult]]:
    images, labels = make_toys(50)
    settings = SETTINGS.model_copy(update={"steps": 25})
    return images, labels, train_folds(images, labels, 2, settings, seed=3, workers=1)


def test_of_one_class_nothing_is_learnt_and_networks_differ_as_they_were_drawn(tmp_path: Path) -> None:
    images, _ = make_toys(12)
    labels = np.zeros(12, np.int64)
    found, longer = (
        train_folds(images, labels, 1, SETTINGS.model_copy(update={"steps": steps}), seed=3, workers=1)
        for steps in (1, 10**9)
    )
    torch.manual_seed(3)
    drawn = small_resnet(1, 1, SETTINGS.width)
    assert all(torch.equal(found[0].state[name], value) for name, value in drawn.named_parameters())
    assert all(torch.equal(value, longer[1].state[name]) for name, value in found[1].state.items())
    save_scorer(tmp_path, found, SETTINGS, labels, 1, 1)
    scorer = load_scorer(tmp_path)
    probabilities, features = scorer.examine(torch.from_numpy(images))
    np.testing.assert_array_equal(probabilities, np.ones((12, 1)))
    assert len(features) == 3 and not np.allclose(features[0], features[1]) and features[0].std(axis=0).max() > 0


@given(
    sizes=st.lists(st.integers(0, 20), min_size=1, max_size=6).filter(any),
    folds=st.integers(2, 6),
    seed=st.integers(0, 100),
)
def test_folds_are_stratified(sizes: list[int], folds: int, seed: int) -> None:
    labels = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(sizes)), sizes))
    assigned = assign_folds(labels, folds, seed)
    assert assigned.shape == labels.shape
    for label in range(len(sizes)):
        counts = np.bincount(assigned[labels == label], minlength=folds)
        assert len(counts) == folds
        assert counts.max() - counts.min() <= 1


def test_folds_depend_on_the_seed_alone() -> None:
    labels = np.arange(60) % 3
    np.testing.assert_array_equal(assign_folds(labels, 3, 1), assign_folds(labels, 3, 1))
    assert not np.array_equal(assign_folds(labels, 3, 1), assign_folds(labels, 3, 2))


@pytest.mark.parametrize("temperature", [0.3, 1.0, 4.0])
def test_a_known_temperature_is_recovered(temperature: float) -> None:
    rng = np.random.default_rng(0)
    honest = rng.normal(0, 2, (20_000, 5))
    labels = (honest + rng.gumbel(size=honest.shape)).argmax(1)  # drawn with probability softmax(honest)
    assert fit_temperature(honest * temperature, labels) == pytest.approx(temperature, rel=0.05)


def test_a_temperature_stays_in_its_bounds_if_all_predictions_are_right_or_none() -> None:
    logits, labels = np.eye(3) * 5, np.arange(3)
    assert 0.05 <= fit_temperature(logits, labels) < 0.2
    assert 15 < fit_temperature(logits, (labels + 1) % 3) <= 20


def test_softmax_and_likelihood_equal_those_of_scipy() -> None:
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(0, 30, (200, 4)), rng.integers(0, 4, 200)
    np.testing.assert_allclose(softmax(logits).sum(1), 1)
    np.testing.assert_allclose(np.log(softmax(logits / 10)), log_softmax(logits / 10, axis=1), rtol=1e-9, atol=1e-12)
    expected = -log_softmax(logits / 10, axis=1)[np.arange(200), labels].mean()
    assert negative_log_likelihood(softmax(logits / 10), labels) == pytest.approx(expected)
    assert np.isfinite(negative_log_likelihood(np.array([[1.0, 0.0]]), np.array([1])))


def test_every_image_is_held_out_once_and_predicted_by_the_network_of_its_fold(
    toys: tuple[np.ndarray, np.ndarray, list[FoldResult]],
) -> None:
    images, labels, results = toys
    assert [result.fold for result in results] == [0, 1, 2]
    assert sorted(np.concatenate([result.held_out for result in results])) == list(range(50))
    folds = assign_folds(labels, 3, 3)
    for result in results:
        np.testing.assert_array_equal(result.held_out, np.flatnonzero(folds == result.fold))
        logits = predict(rebuild(result), torch.from_numpy(images[result.held_out]), precision="fp32").numpy()
        np.testing.assert_allclose(result.logits, logits, atol=1e-5)


def test_a_scorer_comes_back_as_it_was_saved_and_its_probabilities_sum_to_one(
    toys: tuple[np.ndarray, np.ndarray, list[FoldResult]], tmp_path: Path
) -> None:
    images, labels, results = toys
    metrics = save_scorer(tmp_path, results, SETTINGS, labels, classes=2, channels=1)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["config.json", "scorer.safetensors"]
    assert metrics["cross_fitted_accuracy"] > 0.95
    scorer = load_scorer(tmp_path)
    assert scorer.temperature == metrics["temperature"]
    found = scorer.examine(torch.from_numpy(images))[0]
    assert found.shape == (50, 2)
    np.testing.assert_allclose(found.sum(1), 1, rtol=1e-6)
    before = Scorer(tuple(rebuild(result) for result in results), metrics["temperature"], SETTINGS.precision)
    np.testing.assert_array_equal(found, before.examine(torch.from_numpy(images))[0])
    # The mean over calibrated folds, by definition.
    parts = [
        softmax(predict(model, torch.from_numpy(images), precision=SETTINGS.precision).numpy() / metrics["temperature"])
        for model in scorer.models
    ]
    np.testing.assert_allclose(found, sum(parts) / 3, rtol=1e-6)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_features_are_what_the_last_layer_reads_and_one_pass_gives_all(
    toys: tuple[np.ndarray, np.ndarray, list[FoldResult]], precision: str
) -> None:
    images, _, results = toys
    scorer = Scorer(tuple(rebuild(result) for result in results), 1.5, precision)
    shown = torch.from_numpy(images)
    found = scorer.features(shown)
    assert [features.shape for features in found] == [(50, 2 * SETTINGS.width)] * 3
    assert {features.dtype for features in found} == {np.dtype(np.float32)}
    for fold, (model, features) in enumerate(zip(scorer.models, found, strict=True)):
        np.testing.assert_array_equal(scorer.fold_features(fold, shown), features)
        logits = model.head(torch.from_numpy(features)).detach().numpy()
        expected = predict(model, shown, precision=precision).numpy()
        np.testing.assert_allclose(logits, expected, atol=1e-5 if precision == "fp32" else 0.05)
    np.testing.assert_array_equal(scorer.examine(shown)[1], found)


def test_the_metrics_are_those_of_the_held_out_predictions(tmp_path: Path) -> None:
    labels = np.array([0, 1, 1, 0])
    logits = np.array([[3, 0], [2, 1], [0, 1], [1, 0]], np.float32)  # one of four is wrong
    results = [
        FoldResult(fold, small_resnet(1, 2, SETTINGS.width).state_dict(), rows, logits[rows])
        for fold, rows in enumerate((np.array([0, 2]), np.array([1, 3])))
    ]
    metrics = save_scorer(tmp_path, results, SETTINGS, labels, classes=2, channels=1)
    assert metrics["cross_fitted_accuracy"] == 0.75
    assert metrics["temperature"] == pytest.approx(fit_temperature(logits, labels))
    expected = negative_log_likelihood(softmax(logits / metrics["temperature"]), labels)
    assert metrics["negative_log_likelihood"] == pytest.approx(expected)


def test_with_random_labels_the_cross_fitted_accuracy_is_chance(tmp_path: Path) -> None:
    # Random stripes, unchanged by a flip: easy to memorise, impossible to predict.
    rng, count = np.random.default_rng(1), 120
    images = np.repeat(rng.integers(0, 256, (count, 1, 12, 1)), 12, axis=3).astype(np.uint8)
    labels = rng.permutation(np.arange(count) % 2)
    settings = SETTINGS.model_copy(update={"steps": 120, "width": 16})
    results = train_folds(images, labels, 2, settings, seed=0, workers=1)
    metrics = save_scorer(tmp_path, results, settings, labels, classes=2, channels=1)
    assert metrics["cross_fitted_accuracy"] == pytest.approx(0.5, abs=3 * 0.5 / np.sqrt(count))
    # The same networks fit their own training images, so a leak between folds would raise the accuracy.
    model = small_resnet(1, 2, 16)
    model.load_state_dict(results[0].state)
    seen = np.setdiff1d(np.arange(count), results[0].held_out)
    answers = predict(model.eval(), torch.from_numpy(images[seen]), precision="fp32").argmax(1).numpy()
    assert (answers == labels[seen]).mean() > 0.9


def test_an_image_is_judged_only_by_the_network_named_for_it(
    toys: tuple[np.ndarray, np.ndarray, list[FoldResult]],
) -> None:
    """Also where a network judges no image; features by other networks are NaN."""
    images, _, results = toys
    scorer = Scorer(tuple(rebuild(result) for result in results), 0.7, "fp32")
    some, networks = torch.from_numpy(images[:20]), np.arange(20) % 2
    probabilities, features = scorer.examine(some, networks)
    np.testing.assert_allclose(softmax(scorer.judge_apart(some, networks)), probabilities, atol=1e-6)
    for fold in range(len(scorer.models)):
        own = networks == fold
        alone, (seen,) = Scorer((scorer.models[fold],), 0.7, "fp32").examine(some)
        np.testing.assert_allclose(probabilities[own], alone[own], atol=1e-6)
        np.testing.assert_allclose(features[fold][own], seen[own], atol=1e-5)
        assert np.isnan(features[fold][~own]).all()
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-6)
