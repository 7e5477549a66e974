"""Feeds: the content of each input, feeds of any part of a set, and feeds that are refused."""

from __future__ import annotations

import numpy as np
import pytest

from ops.generators.feeds import count_rows, cut_feeds, make_feeds, spread_draws
from ops.generators.noise import draw_noise
from ops.generators.units import Run, Unit, list_classes
from tests.perturb import draw_seeds

SHAPE = (2, 3, 4)
CAT, DOG = list_classes(("cat", "dog"))
SEEDS = draw_seeds(SHAPE, [0, 1, 1])
VARIED = Unit("s2", 1, "s2")


def test_each_input_follows_from_the_unit_and_the_number_of_the_draw() -> None:
    feeds = make_feeds(("noise", "label"), SHAPE, [Run(DOG, 5, 2), Run(CAT, 0, 1)], seed=3)
    assert list(feeds) == ["noise", "label"]
    assert feeds["label"].tolist() == [1, 1, 0] and feeds["label"].dtype == np.int64
    for row, (key, k) in enumerate([("dog", 5), ("dog", 6), ("cat", 0)]):
        expected = draw_noise(SHAPE, seed=3, round_=0, unit=key, start=k, count=1)[0]
        np.testing.assert_array_equal(feeds["noise"][row], expected)


def test_a_variant_is_fed_its_parent_and_the_noise_of_its_parents_key() -> None:
    feeds = make_feeds(("image", "noise"), SHAPE, [Run(VARIED, 1, 2), Run(Unit("s0", 0, "s0"), 0)], seed=3, seeds=SEEDS)
    assert list(feeds) == ["image", "noise"]
    np.testing.assert_array_equal(feeds["image"], SEEDS.images[[2, 2, 0]])
    np.testing.assert_array_equal(feeds["noise"][:2], draw_noise(SHAPE, seed=3, round_=0, unit="s2", start=1, count=2))


def test_any_part_of_a_set_can_be_fed_alone() -> None:
    runs = [Run(CAT, 2, 3), Run(CAT, 5, 2), Run(DOG, 0, 4), Run(VARIED, 0, 1)]
    whole = make_feeds(("noise", "label"), SHAPE, runs, seed=1)
    parts = [
        make_feeds(("noise", "label"), SHAPE, [Run(r.unit, r.first + i)], seed=1) for r in runs for i in range(r.count)
    ]
    for name in whole:
        np.testing.assert_array_equal(whole[name], np.concatenate([part[name] for part in parts]))
    nothing = make_feeds(("noise", "label"), SHAPE, [], seed=1)
    assert nothing["noise"].shape == (0, *SHAPE) and nothing["label"].shape == (0,)


def test_draws_spread_over_labels_share_one_stream_of_noise_and_take_parents_in_turn() -> None:
    labels = np.array([1, 0, 1, 1])
    feeds = make_feeds(("noise", "label"), SHAPE, spread_draws("parity", labels), seed=0)
    np.testing.assert_array_equal(feeds["label"], labels)
    np.testing.assert_array_equal(feeds["noise"], draw_noise(SHAPE, seed=0, round_=0, unit="parity", start=0, count=4))
    runs = spread_draws("parity", labels, SEEDS)
    assert [run.unit.parent for run in runs] == ["s1", "s0", "s2", "s1"]
    with pytest.raises(ValueError, match="no seed image of label 2"):
        spread_draws("parity", np.array([2]), SEEDS)


def test_unknown_inputs_missing_parents_and_unequal_rows_are_refused() -> None:
    with pytest.raises(ValueError, match="input 'image' cannot be fed without seed images"):
        make_feeds(("image",), SHAPE, [Run(VARIED, 0)], seed=0)
    with pytest.raises(ValueError, match="input 'time' cannot be fed"):
        make_feeds(("time",), SHAPE, [], seed=0)
    with pytest.raises(KeyError, match="s9"):
        make_feeds(("image",), SHAPE, [Run(Unit("s9", 0, "s9"), 0)], seed=0, seeds=SEEDS)
    feeds = make_feeds(("noise", "label"), SHAPE, [Run(CAT, 0, 3)], seed=0)
    assert count_rows(cut_feeds(feeds, slice(1, 3))) == 2
    with pytest.raises(ValueError, match="equally many rows"):
        count_rows({**feeds, "label": feeds["label"][:1]})
