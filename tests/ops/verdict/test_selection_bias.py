"""The adjusted tail against a simulation of the pick, at the ends of its range, and its direction."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import ndtri

from ops.verdict.selection_bias import adjust_tail, measure_leak


@pytest.mark.parametrize(("rivals", "leak"), [(1, 0.1), (3, 0.3), (2, 0.9)])
def test_a_picked_arm_passes_the_limit_as_often_as_wanted(rivals: int, leak: float) -> None:
    rng = np.random.default_rng(0)
    luckiest = rng.standard_normal((rivals + 1, 400_000)).max(axis=0)
    difference = (1 - leak) ** 0.5 * rng.standard_normal(400_000) + leak**0.5 * luckiest
    assert (difference > -ndtri(adjust_tail(0.025, rivals, leak))).mean() == pytest.approx(0.025, abs=0.001)
    assert (difference > -ndtri(0.025)).mean() > 0.03


def test_without_rivals_or_leak_the_tail_stays_and_with_all_of_it_it_is_sidaks() -> None:
    assert adjust_tail(0.025, 0, 0.7) == adjust_tail(0.025, 4, 0.0) == 0.025
    assert adjust_tail(0.025, 3, 1.0) == pytest.approx(1 - 0.975**0.25)


def test_more_rivals_and_more_leak_make_it_smaller() -> None:
    tails = [adjust_tail(0.025, rivals, 0.3) for rivals in (1, 2, 5)]
    assert tails == sorted(tails, reverse=True)
    tails = [adjust_tail(0.025, 2, leak) for leak in (0.0, 0.1, 0.5, 0.985, 1.0)]
    assert tails == sorted(tails, reverse=True)


def test_leak_by_hand() -> None:
    # Seeds are half of the variance, and validation noise as large as the luck: rho^2 = 1/2.
    assert measure_leak(2.0, 1.0, 4.0, images_ratio=4.0) == pytest.approx(0.25)
    assert measure_leak(2.0, 1.0, 4.0, images_ratio=0.0) == pytest.approx(0.5)
    assert measure_leak(0.0, 1.0, 4.0, images_ratio=1.0) == 0.0
    assert measure_leak(9.0, 1.0, 4.0, images_ratio=0.0) == 1.0


def test_values_out_of_range_are_refused() -> None:
    for tail, rivals, leak in ((0.5, 1, 0.1), (0.025, -1, 0.1), (0.025, 1, 1.1)):
        with pytest.raises(ValueError, match="are not all in range"):
            adjust_tail(tail, rivals, leak)
