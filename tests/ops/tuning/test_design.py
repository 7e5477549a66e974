"""The screening design: balanced in every pair of columns, so additive effects are found exactly."""

from __future__ import annotations

from itertools import combinations, product

import numpy as np
import pytest

from ops.tuning.design import L18, average_levels, lay_out


def test_every_pair_of_columns_holds_every_pair_of_levels_equally_often() -> None:
    assert L18.shape == (18, 8)
    for one, other in combinations(range(8), 2):
        pairs = [tuple(pair) for pair in L18[:, [one, other]].tolist()]
        levels = product(range(2 if one == 0 else 3), range(3))
        assert len({pairs.count(pair) for pair in levels}) == 1


@pytest.mark.parametrize("levels", [[2, 3, 3, 3, 3, 3, 3, 3], [2, 3, 3, 3, 3, 2, 3], [2, 2, 2]])
def test_additive_effects_are_found_exactly(levels: list[int]) -> None:
    rng = np.random.default_rng(0)
    effects = [rng.normal(size=count) for count in levels]
    runs = lay_out(levels)
    scores = sum(effect[column] for effect, column in zip(effects, runs.T, strict=True))
    for effect, means in zip(effects, average_levels(runs, np.asarray(scores)), strict=True):
        np.testing.assert_allclose(means - means[0], effect - effect[0], atol=1e-12)


@pytest.mark.parametrize("levels", [[], [3, 3], [2, 4], [2] + [3] * 8])
def test_other_numbers_of_levels_are_refused(levels: list[int]) -> None:
    with pytest.raises(ValueError, match="one factor of 2 levels"):
        lay_out(levels)
