"""Utilisation: arithmetic in closed form, and a matrix product that is really measured."""

from __future__ import annotations

import itertools

import pytest

from benchmarks.parts.utilisation import SIDE, Utilisation, describe_utilisation, measure_matmul


def test_the_product_is_timed_by_the_clock_it_is_given() -> None:
    ticks = itertools.count(0, 0.5)
    assert measure_matmul(clock=lambda: next(ticks)) == pytest.approx(2 * SIDE**3 / 0.5 / 1e9)
    assert measure_matmul() > 0.1


def test_shares_follow_from_operations_images_and_seconds() -> None:
    used = describe_utilisation(2_000_000, 50_000, 4.0, processes=2, matmul=50.0)
    assert used == Utilisation(25.0, 100.0)
    assert used.of_matmul == 0.25
