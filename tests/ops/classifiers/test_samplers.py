"""Samplers: the shares of the classes against their formulas, in weights and in the batches that are drawn."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ops.classifiers.data import TrainingSet
from ops.classifiers.ingredients import Sampler
from ops.classifiers.samplers import SAMPLERS
from ops.classifiers.sampling import iterate_batches
from ops.recipe.arms import Arm
from ops.recipe.classifiers import ClassifierSettings

COUNTS = np.array([400, 100, 4])


def build(settings: Any, labels: np.ndarray, weights: np.ndarray, steps: int = 10) -> Sampler:
    chosen = Arm.model_validate({"sampler": settings}).sampler
    images = torch.zeros(len(labels), 1, 8, 8, dtype=torch.uint8)
    data = TrainingSet(images, torch.from_numpy(labels), weights, int(labels.max()) + 1)
    return SAMPLERS[chosen.kind](chosen, data, ClassifierSettings(steps=steps))


def expect(settings: Any, counts: np.ndarray) -> np.ndarray:
    """The shares of the classes."""
    keys = {"kind": settings} if isinstance(settings, str) else settings
    totals = {
        "uniform": counts,
        "class_balanced": np.ones(len(counts)),
        "square_root": np.sqrt(counts),
        "effective_number": counts / (1 - keys.get("beta", 0.999) ** counts),
    }[keys["kind"]]
    return np.asarray(totals / totals.sum())


BY_CLASS = ["class_balanced", "square_root", "effective_number", {"kind": "effective_number", "beta": 0.99}]


@pytest.mark.parametrize("settings", ["uniform", *BY_CLASS])
def test_batches_show_classes_in_the_shares_of_the_formula(settings: Any) -> None:
    labels = np.repeat(np.arange(3), COUNTS)
    sampler = build(settings, labels, np.ones(len(labels)))
    drawn = np.concatenate(list(iterate_batches(sampler.weights, 64, 400, 0)))
    expected = expect(settings, COUNTS)
    np.testing.assert_allclose(np.bincount(labels[drawn], minlength=3) / len(drawn), expected, atol=0.005)
    shown = sampler.list_shown(Arm.model_validate({"sampler": settings}).sampler, COUNTS)
    assert shown is not None and len(shown) == 1
    np.testing.assert_allclose(shown[0] / shown[0].sum(), expected)


@pytest.mark.parametrize("settings", BY_CLASS)
def test_the_shares_change_at_exactly_the_step_of_start(settings: Any) -> None:
    keys = {"kind": settings} if isinstance(settings, str) else settings
    labels = np.repeat(np.arange(3), COUNTS)
    late = build({**keys, "start": 0.29}, labels, np.ones(len(labels)), steps=100)
    always = build(keys, labels, np.ones(len(labels)), steps=100)
    assert all((late.weights(step) == 1).all() for step in (0, 28))
    for step in (29, 99):
        np.testing.assert_array_equal(late.weights(step), always.weights(step))
    drawn = [labels[batch] for batch in iterate_batches(late.weights, 500, 100, 0)]
    rare = [np.bincount(batch, minlength=3)[2] for batch in drawn]
    assert max(rare[:29]) <= 8 < min(rare[29:])  # 4 of 504 before, at least 24 of 500 afterwards
    shown = late.list_shown(Arm.model_validate({"sampler": {**keys, "start": 0.29}}).sampler, COUNTS)
    assert shown is not None and [len(shown), shown[0].tolist()] == [2, COUNTS.tolist()]


@given(rows=st.lists(st.tuples(st.integers(0, 4), st.floats(0.1, 10)), min_size=1, max_size=40))
def test_no_image_weighs_less_and_proportions_within_a_class_stay(rows: list[tuple[int, float]]) -> None:
    labels, weights = np.array([label for label, _ in rows]), np.array([weight for _, weight in rows])
    present, totals = np.unique(labels), np.bincount(labels, weights=weights)
    counts = totals[present] / weights.max()
    for settings in BY_CLASS:
        changed = build(settings, labels, weights).weights(0)
        after = np.bincount(labels, weights=changed)[present]
        np.testing.assert_allclose(after / after.sum(), expect(settings, counts))
        np.testing.assert_allclose(after[counts.argmax()], totals.max())
        for label in present:
            ratio = (changed / weights)[labels == label]
            np.testing.assert_allclose(ratio, ratio[0])
            assert ratio[0] > 1 - 1e-9


def test_the_effective_number_is_that_of_real_images_whatever_they_weigh() -> None:
    labels = np.repeat(np.arange(3), COUNTS)
    one, ten = (build("effective_number", labels, np.full(len(labels), weight)).weights(0) for weight in (1.0, 10.0))
    np.testing.assert_allclose(ten, 10 * one)


def test_a_sampler_of_equal_classes_is_uniform_and_of_unequal_ones_is_not() -> None:
    for settings in BY_CLASS:
        chosen = Arm.model_validate({"sampler": settings}).sampler
        kind = SAMPLERS[chosen.kind]
        assert kind.equals_uniform(chosen, np.full(3, 7.0)) and not kind.equals_uniform(chosen, COUNTS)
    without = Arm.model_validate({"sampler": {"kind": "effective_number", "beta": 0.0}}).sampler
    assert SAMPLERS["effective_number"].equals_uniform(without, COUNTS)


def test_the_square_root_is_half_way_in_logarithms() -> None:
    labels = np.repeat(np.arange(2), (400, 4))
    changed = build("square_root", labels, np.ones(404)).weights(0)
    assert changed[0] == 1 and changed[-1] == pytest.approx(math.sqrt(400 / 4))
