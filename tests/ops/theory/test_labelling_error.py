"""The labelling error against drawn views, and where the radius is small or large."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import norm

from ops.theory.augmentation_graph import CENTRE, VARIANCE, draw_samples
from ops.theory.labelling_error import find_labelling_error

SPREAD = math.sqrt(VARIANCE)


@pytest.mark.parametrize("radius", [0.2, 1.0, 2.5])
def test_as_many_drawn_views_have_another_label(radius: float) -> None:
    count, rng = 200_000, np.random.default_rng(0)
    samples = draw_samples(count, rng)
    moves = radius * np.sqrt(rng.random(count)) * np.cos(2 * math.pi * rng.random(count))
    share = np.mean((samples[:, 0] > 0) != (samples[:, 0] + moves > 0))
    expected = find_labelling_error(radius)
    assert abs(share - expected) < 4 * math.sqrt(expected * (1 - expected) / count)


def test_a_small_radius_moves_the_samples_beside_the_axis() -> None:
    """Their density there times the mean move to one side, r · 4/(3π), of both sides' halves."""
    for radius in (1e-4, 1e-3):
        expected = norm.pdf(CENTRE / SPREAD) / SPREAD * 4 / (3 * math.pi) * radius
        assert find_labelling_error(radius) == pytest.approx(expected, rel=1e-5)
    assert find_labelling_error(0) == 0


def test_a_large_radius_leaves_half_of_the_labels() -> None:
    """A half, less the density of a move's middle, 2/(πr), times the mean distance of the samples from the axis."""
    distance = CENTRE * (1 - 2 * norm.cdf(-CENTRE / SPREAD)) + 2 * SPREAD * norm.pdf(CENTRE / SPREAD)
    assert find_labelling_error(100.0) == pytest.approx(0.5 - 2 / (math.pi * 100) * distance, abs=1e-6)


def test_it_rises_with_the_radius() -> None:
    found = [find_labelling_error(radius) for radius in np.geomspace(0.01, 50, 30)]
    assert np.all(np.diff(found) > 0) and found[0] > 0 and found[-1] < 0.5
