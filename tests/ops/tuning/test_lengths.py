"""Doubling the steps on credits of known gains."""

from __future__ import annotations

import numpy as np
import pytest

from ops.tuning.lengths import Length, choose_length, double_steps

IMAGES = 400


def credit(right: int, wrong: int = 0) -> np.ndarray:
    """The first so many of 400 images are right, but for the very first ones."""
    return np.where((np.arange(IMAGES) < right) & (np.arange(IMAGES) >= wrong), 1 / IMAGES, 0.0)


def test_doubling_ends_at_the_first_gain_within_its_standard_error_and_tells_each() -> None:
    asked = []

    def answer(steps: int) -> np.ndarray:
        asked.append(steps)
        return credit(*{50: (200, 0), 100: (240, 0), 200: (242, 1), 400: (300, 0)}[steps])

    lengths = list(double_steps(answer, steps=50, most_steps=1600))
    assert asked == [length.steps for length in lengths] == [50, 100, 200]
    assert lengths[0] == Length(50, 0.5)
    share = 40 / IMAGES
    assert lengths[1].gain == pytest.approx(share)
    assert lengths[1].error == pytest.approx(np.hypot(np.sqrt(share * (1 - share) / IMAGES), 1 / IMAGES))
    assert lengths[2].gain == pytest.approx(1 / IMAGES) and lengths[2].error == pytest.approx(4**0.5 / IMAGES, rel=0.01)
    assert choose_length(lengths).steps == 100  # the longer one is better by less than its error


def test_a_single_image_is_no_gain() -> None:
    lengths = list(double_steps(lambda steps: credit(398 + steps // 50), steps=50, most_steps=200))
    assert [length.steps for length in lengths] == [50, 100]
    assert choose_length(lengths).steps == 50


def test_a_tie_and_a_loss_keep_the_shorter_length() -> None:
    for later in (200, 190):
        lengths = list(
            double_steps(lambda steps, later=later: credit(200 if steps == 50 else later), steps=50, most_steps=800)
        )
        assert [length.steps for length in lengths] == [50, 100]
        assert choose_length(lengths).steps == 50


def test_the_first_length_is_tried_even_above_the_most() -> None:
    assert [length.steps for length in double_steps(lambda steps: credit(9), steps=50, most_steps=20)] == [50]
