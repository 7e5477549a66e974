"""Bounds of two looks: published constants, the integral they solve, and a simulation of the process."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from ops.verdict.looks import find_bounds, find_tail


@pytest.mark.parametrize(
    ("confidence", "first", "second"),
    # Jennison and Turnbull, Group Sequential Methods (2000), table 2.3: C = 1.678, 1.977, 2.580 at two looks.
    [(0.90, 1.678 * 2**0.5, 1.678), (0.95, 2.797, 1.977), (0.99, 2.580 * 2**0.5, 2.580)],
)
def test_published_constants(confidence: float, first: float, second: float) -> None:
    assert find_bounds(2, confidence) == pytest.approx((first, second), abs=2e-3)


@pytest.mark.parametrize("confidence", [0.6, 0.9, 0.95, 0.999])
def test_both_looks_together_have_the_error_of_one(confidence: float) -> None:
    first, second = find_bounds(2, confidence)
    pair = stats.multivariate_normal(cov=[[1, 0.5**0.5], [0.5**0.5, 1]])
    inside = pair.cdf([first, second], lower_limit=[-first, -second])
    assert 1 - inside == pytest.approx(1 - confidence, abs=1e-6)


def test_one_look_is_the_usual_bound_and_a_tail_is_the_bounds() -> None:
    assert find_bounds(1, 0.95) == pytest.approx((1.959964,))
    assert find_tail(1, 1, 0.95) == pytest.approx(0.025)
    assert find_tail(1, 2, 0.95) == pytest.approx(0.00258, abs=1e-5)
    assert find_tail(2, 2, 0.95) == pytest.approx(0.02400, abs=1e-4)


def test_a_simulated_process_crosses_as_often_as_computed() -> None:
    halves = np.random.default_rng(0).standard_normal((2, 400_000))
    first, second = find_bounds(2, 0.9)
    crossed = (np.abs(halves[0]) > first) | (np.abs(halves.sum(axis=0) / 2**0.5) > second)
    assert crossed.mean() == pytest.approx(0.1, abs=0.002)


def test_other_looks_are_refused() -> None:
    with pytest.raises(ValueError, match="1 or 2"):
        find_bounds(3, 0.95)
    for look in (0, 3):
        with pytest.raises(ValueError, match="between 1 and 2"):
            find_tail(look, 2, 0.95)
    with pytest.raises(ValueError, match="confidence"):
        find_bounds(2, 1.0)
