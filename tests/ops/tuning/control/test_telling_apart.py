"""The lower bound on the total variation: beside distributions whose total variation is known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from ops.tuning.control.telling_apart import tell_apart

FEATURES = 6


def draw(count: int, shift: float, seed: int) -> np.ndarray:
    """Normal features float32 [count, 6], the first of mean `shift`."""
    values = np.random.default_rng(seed).standard_normal((count, FEATURES))
    values[:, 0] += shift
    return values.astype(np.float32)


def test_equal_distributions_are_seldom_told_apart() -> None:
    found = [tell_apart(draw(120, 0, 2 * seed), draw(150, 0, 2 * seed + 1), seed) for seed in range(60)]
    assert sum(each is not None and each.variation > 0 for each in found) <= 7  # 5 % of 60 are 3


@pytest.mark.parametrize("shift", [0.5, 1.0, 2.0, 4.0])
def test_the_bound_lies_below_the_total_variation_and_near_it(shift: float) -> None:
    truth = 2 * norm.cdf(shift / 2) - 1  # of two normal variables at this distance
    found = tell_apart(draw(1_500, 0, 1), draw(1_500, shift, 2), 0)
    assert found is not None
    assert truth - 0.11 < found.variation <= truth
    assert found.accuracy == pytest.approx((1 + truth) / 2, abs=0.03)


def test_unequal_numbers_prove_nothing_by_themselves_and_few_images_are_not_asked() -> None:
    found = tell_apart(draw(60, 0, 1), draw(2_000, 0, 2), 0)
    assert found is not None and found.variation < 0.2
    assert tell_apart(draw(19, 0, 1), draw(500, 9, 2), 0) is None
    assert tell_apart(draw(80, 0, 1), draw(80, 3, 2), 7) == tell_apart(draw(80, 0, 1), draw(80, 3, 2), 7)
