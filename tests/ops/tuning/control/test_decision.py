"""The controller's rule, beside its formula by hand, and in simulated races whose truth is known."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from scipy.stats import t

from ops.tuning.control.decision import decide, keep_best

IMAGES, RACES = 150, 400
ROUNDS = (4, 2)


def test_the_best_go_on_in_their_order_and_of_equals_the_earlier() -> None:
    assert keep_best([0.2, 0.9, 0.5, 0.9], 2) == [1, 3]
    assert keep_best([0.5, 0.5, 0.5, 0.5], 2) == [0, 1] and keep_best([0.1, 0.3, 0.3], 1) == [1]


def test_the_limit_is_that_of_images_and_seeds_together() -> None:
    rng = np.random.default_rng(0)
    real, inflated = rng.random((3, 400)) < 0.7, rng.random((3, 400)) < np.array([[0.74], [0.8], [0.83]])
    found = decide(real, inflated, np.zeros(400, int), "accuracy")
    gaps = inflated.mean(axis=0) - real.mean(axis=0)
    images = gaps.var(ddof=1) / 400
    between = [answers.mean(axis=1).var(ddof=1) / 3 for answers in (real, inflated)]
    inside = [float(answers.var(axis=0, ddof=1).mean()) / 400 / 3 for answers in (real, inflated)]
    variance = images + max(0.0, sum(between) - sum(inside))
    df = variance**2 / (images**2 / 399 + sum(each**2 / 2 for each in between))
    low = gaps.mean() - t.ppf(0.95, max(df, 2)) * variance**0.5
    assert found.gain == pytest.approx(gaps.mean()) and found.error == pytest.approx(variance**0.5)
    assert found.low == pytest.approx(low) and found.uses_generated == (low > 0)


def test_equal_answers_use_no_generated_images() -> None:
    same = np.random.default_rng(1).random((3, 60)) < 0.8
    found = decide(same, same, np.arange(60) % 2, "worst_class")
    assert found.gain == 0 and found.low < 0 and not found.uses_generated
    assert found.real == pytest.approx(np.mean([same[:, np.arange(60) % 2 == c].mean() for c in (0, 1)]))
    assert decide(~np.ones((3, 60), bool), np.ones((3, 60), bool), np.zeros(60, int), "accuracy").uses_generated


def test_images_of_a_group_are_one_draw() -> None:
    rng = np.random.default_rng(2)
    real, inflated = (np.tile(rng.random(80) < rate, (3, 1)) for rate in (0.7, 0.78))
    labels, units = np.arange(80) % 2, np.arange(80)
    once = decide(real, inflated, labels, "balanced_accuracy", units)
    copies = [np.repeat(each, 5, axis=-1) for each in (real, inflated, labels, units)]
    again = decide(copies[0], copies[1], copies[2], "balanced_accuracy", copies[3])
    assert (again.gain, again.error, again.low) == pytest.approx((once.gain, once.error, once.low))
    assert decide(copies[0], copies[1], copies[2], "balanced_accuracy").error < 0.5 * once.error


def test_validation_images_of_one_group_use_no_generated_images() -> None:
    right = np.ones((3, 60), bool)
    found = decide(~right, right, np.arange(60) % 2, "accuracy", np.zeros(60, int))
    assert found.gain == 1 and not found.uses_generated


def hold_race(
    rng: np.random.Generator, worth: Sequence[Sequence[float]], seeds: float, own: tuple[float, float] = (0.3, 0.3)
) -> bool:
    """Whether generated images are used in a simulated race of two sides, by the controller's own rounds and rule.

    worth: of the settings of the real and of the inflated side, on the scale of a logit. Seeds vary by `seeds` on it;
    settings of either side also differ by `own` on single images, as real ones do, and sides by as much as is missing.
    """
    difficulty = 0.8 + rng.standard_normal(IMAGES)

    def train(setting: float, own: np.ndarray, count: int) -> np.ndarray:
        ability = setting + seeds * rng.standard_normal((count, 1))
        return np.asarray(difficulty + own + ability + 0.7 * rng.standard_normal((count, IMAGES)) > 0)

    answers = []
    for side, spread in zip(worth, own, strict=True):
        moved, going = spread * rng.standard_normal((len(side), IMAGES)), list(range(len(side)))
        if spread < max(own):  # else a side would be better by the spread alone
            moved += (max(own) ** 2 - spread**2) ** 0.5 * rng.standard_normal(IMAGES)
        for left in (*ROUNDS[1:], 1):
            scores = [float(train(side[place], moved[place], 1).mean()) for place in going]
            going = [going[place] for place in keep_best(scores, left)]
        answers.append(train(side[going[0]], moved[going[0]], 3))
    return decide(answers[0], answers[1], np.zeros(IMAGES, int), "accuracy").uses_generated


@pytest.mark.parametrize(
    ("seeds", "own", "least", "most"),
    [(0.05, (0.3, 0.3), 0.03, 0.05), (0.3, (0.3, 0.3), 0.03, 0.05), (0.05, (0.0, 1.0), 0.05, 0.07)],
)
def test_useless_generated_images_are_used_in_three_to_seven_of_a_hundred_races(
    seeds: float, own: tuple[float, float], least: float, most: float
) -> None:
    """More often where their settings differ more on the images than the others, so that picking flatters them more."""
    rng = np.random.default_rng(3)
    equal = [[0.0, 0.0, -0.1, -0.2]] * 2
    used = sum(hold_race(rng, equal, seeds, own) for _ in range(RACES))
    below, above = (2 * (share * (1 - share) * RACES) ** 0.5 for share in (least, most))
    assert least * RACES - below <= used <= most * RACES + above


def test_what_hurts_is_never_used_and_what_helps_much_nearly_always() -> None:
    rng = np.random.default_rng(4)
    real = [0.0, 0.0, -0.1, -0.2]
    assert sum(hold_race(rng, [real, [-0.6, -0.7, -0.6, -0.7]], 0.05) for _ in range(60)) == 0
    assert sum(hold_race(rng, [real, [0.8, 0.9, 0.8, 0.7]], 0.05) for _ in range(60)) >= 54
