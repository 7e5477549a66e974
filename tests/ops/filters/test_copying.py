"""The test for copying: closed forms, a naive count of all pairs, known truths, and intervals that cover them."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ops.filters.copying import CopyingFindings, Decision, examine_copying
from ops.statistics.proportions import estimate_share, subtract_shares

NO_LIMITS = [None]


def examine(generated: np.ndarray, held_out: np.ndarray, limit: float | None = None) -> CopyingFindings:
    """One class."""
    zeros = (np.zeros(len(values), int) for values in (generated, held_out))
    labels, held_labels = zeros
    return examine_copying(generated, labels, held_out, held_labels, [limit])


distances = st.lists(st.integers(0, 5).map(float), min_size=2, max_size=12).map(np.array)


@settings(max_examples=60, deadline=None)
@given(generated=distances, held_out=distances)
def test_nearer_is_the_share_of_pairs(generated: np.ndarray, held_out: np.ndarray) -> None:
    found = examine(generated, held_out).whole.nearer
    wins = [1.0 if g < h else 0.5 if g == h else 0.0 for g, h in itertools.product(generated, held_out)]
    assert found is not None and found.estimate == pytest.approx(np.mean(wins))
    assert 0 <= found.low <= found.estimate + 1e-12 and found.estimate - 1e-12 <= found.high <= 1
    other = examine(held_out, generated).whole.nearer
    assert other is not None
    assert (other.estimate, other.low, other.high) == pytest.approx(
        (1 - found.estimate, 1 - found.high, 1 - found.low), abs=1e-9
    )


def test_delongs_variance_by_hand() -> None:
    # Of 3 generated images two are nearer than both held-out ones, one lies between: placements 1, 1, 1/2 and 2/3, 1.
    found = examine(np.array([0.1, 0.2, 0.5]), np.array([0.4, 0.9])).whole.nearer
    variance = np.var([1, 1, 0.5], ddof=1) / 3 + np.var([2 / 3, 1], ddof=1) / 2
    area = 5 / 6
    logits = np.log(area / (1 - area)) + np.array([-1, 1]) * 1.959963985 * np.sqrt(variance) / (area * (1 - area))
    assert found is not None
    assert [found.estimate, found.low, found.high] == pytest.approx([area, *(1 / (1 + np.exp(-logits)))])


def test_complete_separation_has_a_width_that_shrinks_with_the_counts() -> None:
    widths = []
    for count in (20, 200):
        found = examine(np.linspace(0, 1, count), np.linspace(2, 3, count)).whole
        assert found.decision == "copies" and found.nearer is not None
        assert (found.nearer.estimate, found.nearer.high) == (1.0, 1.0)
        # The bound t solves (1 - t)^2 = z^2 V(t).
        t, more = found.nearer.low, count - 1
        variance = t * (1 - t) * (1 + more * ((1 - t) / (2 - t) + t / (1 + t))) / count**2
        assert (1 - t) ** 2 == pytest.approx(1.959963985**2 * variance, rel=1e-6)
        widths.append(1 - t)
    assert 0.05 < widths[0] < 0.2 and widths[1] < 0.02


def test_near_copies_of_one_class_are_two_simple_shares() -> None:
    found = examine(np.array([0.1] * 6 + [1.0] * 194), np.array([0.2] + [1.0] * 99), 0.5).whole
    shares = estimate_share(6, 200), estimate_share(1, 100)
    assert (found.near_generated, found.near_held_out) == shares
    assert found.excess == subtract_shares(*shares)


def test_images_are_compared_within_their_class() -> None:
    """Class 1 lies far nearer to training images, for both sides; generated images have more of it."""
    random = np.random.default_rng(0)
    labels, held_labels = np.repeat([0, 1], [100, 900]), np.repeat([0, 1], [300, 100])
    scale = np.array([10.0, 1.0])
    found = examine_copying(
        random.exponential(scale[labels]), labels, random.exponential(scale[held_labels]), held_labels, [1.0, 0.1]
    )
    assert found.whole.nearer is not None and found.whole.near_held_out is not None
    assert found.whole.nearer.low < 0.5 < found.whole.nearer.high
    assert found.whole.decision == "no sign"
    assert found.whole.near_held_out.estimate == pytest.approx(
        0.1 * found.classes[0].near_held_out.estimate + 0.9 * found.classes[1].near_held_out.estimate
    )


def draw(random: np.random.Generator, count: int, copied: float = 0.0, nearness: float = 1.0) -> np.ndarray:
    """Distances of a generator: the share `copied` are copies, the others are nearer by the factor `nearness`."""
    values = 0.5 + random.exponential(1.0 / nearness, count)
    values[: round(copied * count)] = 0.01
    return values


@pytest.mark.parametrize(
    ("copied", "nearness", "generated", "held_out", "decision"),
    [
        (0.0, 1.0, 2000, 400, "no sign"),
        (0.0, 1.6, 2000, 400, "copies"),  # all a little nearer
        (0.06, 0.9, 2000, 400, "copies"),  # few copies among many originals: only the excess shows them
        (0.0, 0.4, 2000, 400, "no sign"),  # farther away than real ones
        (0.0, 1.0, 2000, 12, "too few"),
        (0.0, 1.0, 12, 400, "too few"),
        (0.0, 1.0, 40, 25, "too few"),  # the interval does not rule out much copying
    ],
)
def test_known_truths(copied: float, nearness: float, generated: int, held_out: int, decision: Decision) -> None:
    random = np.random.default_rng(5)
    found = examine(draw(random, generated, copied, nearness), draw(random, held_out), 0.4)
    assert found.whole.decision == decision, found.sentence
    begins = {"copies": "Generated images copy more than held-out", "no sign": "No sign of copying: ",
              "too few": "Too few images to tell whether"}  # fmt: skip
    assert found.sentence.startswith(begins[decision]) and found.sentence.endswith(".")


def test_intervals_cover_the_truth_over_classes_of_unequal_shares() -> None:
    random, truth, hits, alarms = np.random.default_rng(1), [], [], 0
    labels, held_labels = np.repeat([0, 1, 2], [120, 60, 20]), np.repeat([0, 1, 2], [15, 40, 25])
    # Of two exponentials the first is the smaller with probability rate / (sum of rates).
    expected = 0.6 * 2 / 3 + 0.3 * 0.5 + 0.1 * 0.5
    for _ in range(500):
        found = examine_copying(
            random.exponential(1 / np.array([2.0, 1.0, 1.0])[labels]), labels,
            random.exponential(1.0, len(held_labels)), held_labels, [0.1] * 3,
        )  # fmt: skip
        assert found.whole.nearer is not None
        truth.append(found.whole.nearer.estimate)
        hits.append(found.whole.nearer.low <= expected <= found.whole.nearer.high)
        calm = examine_copying(
            random.exponential(1.0, len(labels)), labels, random.exponential(1.0, len(held_labels)), held_labels,
            [0.1] * 3,
        )  # fmt: skip
        alarms += calm.whole.decision == "copies"
    assert np.mean(truth) == pytest.approx(expected, abs=0.006)
    assert 0.92 < np.mean(hits) < 0.98
    assert alarms / 500 < 0.075  # two tests of 2.5 % each


def test_a_mixture_of_copies_and_distant_images_is_covered_too() -> None:
    """Half copies, half far: the area is one half, and far less certain than for like shapes."""
    random, hits = np.random.default_rng(2), []
    for _ in range(300):
        copies = random.random(60) < 0.5
        found = examine(np.where(copies, 0.0, 9.0), random.random(200) + 1)
        assert found.whole.nearer is not None
        hits.append(found.whole.nearer.low <= 0.5 <= found.whole.nearer.high)
    assert 0.91 < np.mean(hits) < 0.985


def test_nan_distances_and_classes_without_both_sides_are_left_out() -> None:
    generated = np.array([1.0, np.nan, 2.0, 0.1, 0.2])
    found = examine_copying(
        generated, np.array([0, 0, 0, 1, 2]), np.array([1.5, 3.0, 4.0]), np.array([0, 0, 2]), [None, 0.5, 0.5]
    )
    assert (found.whole.generated, found.whole.held_out) == (2, 2)
    assert found.whole.excess is None, "no limit in the only class that can be compared"
    assert [entry.nearer is None for entry in found.classes] == [False, True, True]
    assert {entry.decision for entry in found.classes} == {"too few"}
    json.dumps(found.to_dict(), allow_nan=False)


def test_without_images_the_decision_is_too_few() -> None:
    found = examine(np.empty(0), np.empty(0), 0.5)
    assert found.whole.decision == "too few" and "no class can be compared" in found.sentence


def test_intervals_of_classes_hold_jointly() -> None:
    random = np.random.default_rng(3)
    generated, held_out = random.random(400), random.random(200)
    together = examine_copying(generated, np.arange(400) % 4, held_out, np.arange(200) % 4, [None] * 4)
    alone = examine(generated[::4], held_out[::4])
    wide, narrow = together.classes[0].nearer, alone.whole.nearer
    assert wide is not None and narrow is not None and wide.estimate == narrow.estimate
    assert wide.low < narrow.low and narrow.high < wide.high


def test_wrong_input_is_refused() -> None:
    good = np.ones(3)
    with pytest.raises(ValueError, match=r"must be \[n\] both"):
        examine_copying(good, np.zeros(2, int), good, np.zeros(3, int), NO_LIMITS)
    with pytest.raises(ValueError, match=r"labels must lie in 0\.\.0"):
        examine_copying(good, np.full(3, 1), good, np.zeros(3, int), NO_LIMITS)
