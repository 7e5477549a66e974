"""Shares and differences against published values, statsmodels' closed forms and their own coverage."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest

from ops.statistics.proportions import estimate_share, find_quantile, subtract_shares


@pytest.mark.parametrize(("hits", "count"), [(0, 1), (1, 1), (0, 40), (3, 40), (40, 40), (81, 263), (15, 148)])
def test_wilsons_interval_equals_scipys(hits: int, count: int) -> None:
    theirs = binomtest(hits, count).proportion_ci(0.95, method="wilson")
    ours = estimate_share(hits, count)
    assert (ours.estimate, ours.low, ours.high) == pytest.approx((hits / count, theirs.low, theirs.high), abs=1e-12)


@pytest.mark.parametrize(
    ("one", "other", "low", "high"),
    [  # Newcombe 1998, Statistics in Medicine 17, table II, method 10
        ((56, 70), (48, 80), 0.0524, 0.3339),
        ((9, 10), (3, 10), 0.1705, 0.8090),
        ((6, 7), (2, 7), 0.0582, 0.8062),
        ((5, 56), (0, 29), -0.0381, 0.1926),
        ((0, 10), (0, 20), -0.1611, 0.2775),
        ((0, 10), (0, 10), -0.2775, 0.2775),
        ((10, 10), (0, 20), 0.6791, 1.0),
        ((10, 10), (0, 10), 0.6075, 1.0),
    ],
)
def test_differences_equal_newcombes_table(
    one: tuple[int, int], other: tuple[int, int], low: float, high: float
) -> None:
    found = subtract_shares(estimate_share(*one), estimate_share(*other))
    assert found.estimate == pytest.approx(one[0] / one[1] - other[0] / other[1])
    assert (found.low, found.high) == pytest.approx((low, high), abs=6e-5)


def test_the_difference_of_rare_things_is_covered() -> None:
    random, covered = np.random.default_rng(0), []
    for hits, others in zip(random.binomial(800, 0.02, 400), random.binomial(200, 0.01, 400), strict=True):
        found = subtract_shares(estimate_share(hits, 800), estimate_share(others, 200))
        covered.append(found.low <= 0.01 <= found.high)
    assert 0.92 < np.mean(covered) <= 1.0


def test_impossible_shares_are_refused() -> None:
    for hits, count in ((0, 0), (-1, 3), (4, 3)):
        with pytest.raises(ValueError, match="a share needs"):
            estimate_share(hits, count)
    with pytest.raises(ValueError, match="between 0 and 1"):
        find_quantile(1.0)
