"""How differences are written in points."""

from __future__ import annotations

import pytest

from ops.verdict.points import choose_decimals, format_points


@pytest.mark.parametrize(
    ("differences", "decimals"),
    [((0.01, -0.02, 0.0), 1), ((0.01, 0.0004), 2), ((0.01, -0.00004), 3), ((0.0, 0.0), 1)],
)
def test_a_difference_that_is_not_0_is_not_written_as_0(differences: tuple[float, ...], decimals: int) -> None:
    assert choose_decimals(*differences) == decimals


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ((0.012, 0.007, 0.018), "+1.2 (+0.7 to +1.8)"),
        ((-0.012, -0.018, 0.0004), "−1.20 (−1.80 to +0.04)"),
        ((0.0, 0.0, 0.0), "0.0 (0.0 to 0.0)"),
        ((0.02, -5.844, 5.847), "+2.0 (−100.0 to +100.0)"),  # from a handful of test images
    ],
)
def test_points_never_round_a_bound_to_zero(values: tuple[float, float, float], text: str) -> None:
    assert format_points(dict(zip(("estimate", "low", "high"), values, strict=True))) == text
