"""The metrics of a set: values of perfect and faulty generators, overall and per class, and missing values."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import prdc
import pytest

from ops.metrics.frechet import fit_gaussian, frechet_distance
from ops.metrics.set_quality import (
    METRICS,
    MIN_IMAGES,
    Labels,
    Measure,
    NetworkFeatures,
    draw_rows,
    measure_set,
)

CLASSES, PER_CLASS, SIZE = 3, 120, 12
UNBIASED = {"KID", "authenticity"}


def draw(seed: int, per_class: int = PER_CLASS) -> tuple[np.ndarray, np.ndarray]:
    """Features of three classes that lie apart, and their labels."""
    labels = np.repeat(np.arange(CLASSES), per_class)
    centres = 4 * np.random.default_rng(99).normal(size=(CLASSES, SIZE))
    return centres[labels] + np.random.default_rng(seed).normal(size=(len(labels), SIZE)), labels


def view(generated: np.ndarray, *, unseen: bool = True) -> NetworkFeatures:
    train, labels = draw(1)
    return NetworkFeatures(draw(2)[0], train, generated, np.ones(len(labels), bool) if unseen else None)


def measure(generated: np.ndarray, generated_labels: np.ndarray, **options: object) -> dict[str, Measure]:
    labels = Labels(draw(2)[1], draw(1)[1], generated_labels)
    found = measure_set([view(generated)], labels, extractor="test", **options)
    return {measure.metric: measure for measure in found if measure.label is None}


@pytest.fixture(scope="module")
def perfect() -> dict[str, Measure]:
    return measure(*draw(3))


def test_every_number_has_an_interval_a_count_and_a_reference(perfect: dict[str, Measure]) -> None:
    assert tuple(sorted(perfect)) == tuple(sorted(METRICS))
    for found in perfect.values():
        assert found.value is not None and found.low is not None and found.high is not None
        assert found.low <= found.value <= found.high
        assert found.reference is not None
        assert (found.real, found.generated, found.reason) == (360, 360, None)
        assert found.name == f"{found.metric}_test"
        stored = json.loads(json.dumps(found.to_dict()))
        assert stored.pop("name") == found.name
        assert Measure(**stored) == found


def test_a_perfect_generator_scores_as_real_images_do(perfect: dict[str, Measure]) -> None:
    for found in perfect.values():
        assert found.low <= found.reference <= found.high, found
    assert perfect["precision"].value > 0.8
    assert perfect["recall"].value > 0.8
    assert perfect["coverage"].value > 0.9
    assert perfect["density"].value == pytest.approx(1, abs=0.15)
    assert perfect["KID"].low < 0 < perfect["KID"].high


def test_a_generator_of_one_mode_is_precise_and_recalls_little(perfect: dict[str, Measure]) -> None:
    features, labels = draw(3, 3 * PER_CLASS)
    found = measure(features[labels == 0], labels[labels == 0])
    assert found["precision"].low > 0.8  # what is drawn is plausible
    assert found["recall"].high < 0.45  # what is real is not drawn
    assert found["coverage"].high < 0.45
    for name in ("FD", "KID"):
        assert found[name].low > perfect[name].high
    assert found["vendi"].high < perfect["vendi"].low


def test_a_generator_that_also_draws_nonsense_recalls_and_is_imprecise(perfect: dict[str, Measure]) -> None:
    features, labels = draw(3)
    features[::2] += 30
    found = measure(features, labels)
    assert found["precision"].high < 0.6
    assert found["recall"].low > 0.8


def test_a_generator_that_memorises_is_not_authentic(perfect: dict[str, Measure]) -> None:
    features, labels = draw(1)
    found = measure(features + 0.01, labels)["authenticity"]
    assert found.high < 0.05
    assert found.reference == perfect["authenticity"].reference > 0.4
    assert measure(*draw(1))["precision"].value > 0.8  # which is why it is asked


def test_a_class_is_measured_as_if_it_were_alone(perfect: dict[str, Measure]) -> None:
    features, labels = draw(3)
    features[labels == 1] += 5
    of_all = Labels(draw(2)[1], draw(1)[1], labels)
    found = measure_set([view(features)], of_all, extractor="test", classes=range(CLASSES))
    assert [measure.label for measure in found] == [label for label in (None, 0, 1, 2) for _ in METRICS]
    by_class = {(measure.metric, measure.label): measure for measure in found}
    alone = [side[of_side == 1] for side, of_side in (draw(2), (features, labels))]
    expected = frechet_distance(*map(fit_gaussian, alone))
    assert by_class["FD", 1].value == pytest.approx(expected)
    assert by_class["precision", 1].value == 0
    assert by_class["precision", 0].value > 0.7
    assert (by_class["FD", 1].real, by_class["FD", 1].generated) == (PER_CLASS, PER_CLASS)
    authentic = [by_class["authenticity", label].value for label in range(CLASSES)]
    assert np.mean(authentic) == pytest.approx(by_class["authenticity", None].value)


def test_a_class_with_too_few_images_has_no_value_but_a_reason() -> None:
    features, labels = draw(3)
    keep = np.ones(len(labels), bool)
    keep[np.flatnonzero(labels == 2)[MIN_IMAGES - 1 :]] = False
    of_all = Labels(draw(2)[1], draw(1)[1], labels[keep])
    found = measure_set([view(features[keep])], of_all, extractor="test", classes=(1, 2, 7))
    for measured in found:
        missing = measured.label in (2, 7)
        assert (measured.value is None) == (measured.low is None) == (measured.high is None) == missing
        assert (measured.reason is not None) == missing
    reasons = {(measured.metric, measured.label): measured.reason for measured in found}
    assert (
        reasons["FD", 2]
        == "120 held-out and 19 generated images, 120 unseen training images; at least 20 of each are needed"
    )
    assert reasons["authenticity", 7] == "0 generated and 360 training images; at least 20 and 2 are needed"


def test_both_sides_get_as_many_images_in_the_shares_of_their_classes() -> None:
    features, labels = draw(3, 3 * PER_CLASS)
    found = measure(features, labels)
    assert {m.metric: (m.real, m.generated) for m in found.values() if m.metric not in UNBIASED} == {
        metric: (360, 360) for metric in METRICS if metric not in UNBIASED
    }
    assert (found["authenticity"].real, found["authenticity"].generated) == (360, 1080)
    assert found["FD"].value == pytest.approx(found["FD"].reference, rel=0.5)  # not better for being many
    capped = measure(features, labels, limit=50)
    assert {(m.real, m.generated) for m in capped.values() if m.metric != "authenticity"} == {(50, 50)}
    assert capped["authenticity"].generated == 50
    assert capped == measure(features, labels, limit=50) != measure(features, labels, limit=50, seed=1)


def test_a_perfect_generator_of_equal_classes_scores_as_the_real_images_of_a_long_tail_do() -> None:
    def thin(seed: int, keep: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
        features, labels = draw(seed)
        rows = np.concatenate([np.flatnonzero(labels == label)[:count] for label, count in enumerate(keep)])
        return features[rows], labels[rows]

    tail = (120, 40, 10)
    (held, held_labels), (train, train_labels), (drawn, drawn_labels) = thin(2, tail), thin(1, tail), draw(3)
    view = NetworkFeatures(held, train, drawn, np.ones(len(train), bool))
    found = measure_set([view], Labels(held_labels, train_labels, drawn_labels), extractor="test", classes=[])
    named = {measure.metric: measure for measure in found}
    assert (named["FD"].real, named["FD"].generated) == (170, 170)
    for metric in ("FD", "KID"):
        one = named[metric]
        assert one.value is not None and one.reference is not None and one.low is not None and one.high is not None
        assert abs(one.value - one.reference) < one.high - one.low


def test_references_use_only_training_images_that_the_network_did_not_see() -> None:
    train, train_labels = draw(1)
    features, labels = draw(3)
    folds = np.arange(len(train)) % 3
    # Each network memorised the images outside its fold: their features are all at one point.
    networks = [
        NetworkFeatures(draw(2)[0], np.where((folds == fold)[:, None], train, 9.0), features, folds == fold)
        for fold in range(3)
    ]
    of_all = Labels(draw(2)[1], train_labels, labels)
    averaged = {m.metric: m for m in measure_set(networks, of_all, extractor="scorer")}
    single = [{m.metric: m for m in measure_set([one], of_all, extractor="scorer")} for one in networks]
    for metric in METRICS:
        assert averaged[metric].value == pytest.approx(np.mean([found[metric].value for found in single]))
        assert averaged[metric].reference == pytest.approx(np.mean([found[metric].reference for found in single]))
    assert averaged["FD"].generated == 120  # as many as a fold has
    assert averaged["FD"].reference == pytest.approx(averaged["FD"].value, rel=0.6)
    without = measure_set([replace(one, unseen=None) for one in networks], of_all, extractor="scorer")
    assert {m.generated for m in without} == {360}
    assert [m.metric for m in without if m.reference is not None] == ["authenticity"]


@pytest.mark.parametrize(("count", "total"), [(7, 100), (50, 101), (100, 100), (200, 100)])
def test_rows_are_drawn_once_each_in_the_shares_of_the_classes(count: int, total: int) -> None:
    labels = np.random.default_rng(0).choice(4, total, p=[0.5, 0.3, 0.15, 0.05])
    rows = draw_rows(labels, count, 0)
    assert len(set(rows)) == len(rows) == min(count, total)
    for label in range(4):
        assert abs((labels[rows] == label).sum() - (labels == label).sum() * len(rows) / total) < 2


def test_precision_recall_density_and_coverage_equal_the_authors_code() -> None:
    features, labels = draw(3)
    features *= 0.9
    found = measure(features, labels)
    expected = prdc.compute_prdc(draw(2)[0], features, nearest_k=5)
    assert {name: found[name].value for name in expected} == pytest.approx(expected)


def test_labels_and_features_that_do_not_fit_are_refused() -> None:
    features, labels = draw(3)
    of_all = Labels(draw(2)[1], draw(1)[1], labels)
    with pytest.raises(ValueError, match="no networks"):
        measure_set([], of_all, extractor="test")
    with pytest.raises(ValueError, match="limit is 5"):
        measure_set([view(features)], of_all, extractor="test", limit=5)
    with pytest.raises(ValueError, match=r"generated features have shape \[359, 12\]; allowed: \[360, d\]"):
        measure_set([view(features[1:])], of_all, extractor="test")
    with pytest.raises(ValueError, match="with the d of the held-out"):
        measure_set([view(features[:, 1:])], of_all, extractor="test")
    with pytest.raises(ValueError, match="unseen is int64"):
        measure_set([replace(view(features), unseen=np.ones(360, int))], of_all, extractor="test")
