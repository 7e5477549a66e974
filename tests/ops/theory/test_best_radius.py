"""The best radius: what the paper observed of the toy, the bound by hand, and what has no best radius."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ops.errors import UserError
from ops.theory.best_radius import (
    MOST,
    UNCONFIRMED,
    Constants,
    GraphSummary,
    bound_probe,
    measure_connectivity,
    sum_up_graphs,
)

RADII = [0.8, 1.0, 1.2, 1.4, 1.6, 1.8]


@pytest.fixture(scope="module")
def found() -> GraphSummary:
    return sum_up_graphs([30, 100, 300], RADII, features=2, repeats=10, seed=0)


def test_connectivity_rises_with_samples_and_with_the_radius(found: GraphSummary) -> None:
    connectivity = np.array(found.connectivity)
    assert connectivity.shape == (3, 6) and connectivity.min() > 0 and connectivity.max() < 1
    assert np.all(np.diff(connectivity, axis=0) > 0) and np.all(np.diff(connectivity, axis=1) > 0)


def test_the_labelling_error_rises_with_the_radius_alone(found: GraphSummary) -> None:
    assert len(found.labelling_error) == 6 and np.all(np.diff(found.labelling_error) > 0)


def test_the_best_radius_falls_with_samples(found: GraphSummary) -> None:
    few, more, many = (value or math.nan for value in found.best_radius)
    assert few > more + 0.1 > many + 0.1
    assert all(error is not None and 0 < error < 0.1 for error in found.best_radius_se)
    assert found.best_bound == [min(value for value in row if value is not None) for row in found.bound]


def test_each_bound_is_the_median_of_its_repeats(found: GraphSummary) -> None:
    measured = measure_connectivity([100], RADII, features=2, repeats=10, seed=0)[0]
    error = np.array(found.labelling_error)
    assert found.connectivity[1] == pytest.approx(measured.mean(axis=0))
    assert found.connectivity_se[1] == pytest.approx(measured.std(axis=0, ddof=1) / math.sqrt(10))
    bounds = 8 * error / measured + 16 * error
    assert found.bound[1] == pytest.approx(np.median(bounds, axis=0))
    assert found.best_radius[1] == pytest.approx(np.mean([RADII[row.argmin()] for row in bounds]))
    assert found.warnings[0] == UNCONFIRMED and "nowhere below 1" in found.warnings[1]


def test_the_bound_is_infinite_without_connection() -> None:
    values = bound_probe(np.array([0.1, 0.2]), np.array([[0.5, 0.25], [0.0, 1.0]]), Constants(3.0, 5.0))
    assert values.tolist() == [pytest.approx([1.1, 3.4]), pytest.approx([math.inf, 1.6])]


def test_a_graph_depends_on_seed_repeat_and_its_own_numbers_alone() -> None:
    whole = measure_connectivity([20, 30], [0.9, 1.3], features=2, repeats=4, seed=5)
    less = measure_connectivity([30], [1.3], features=2, repeats=2, seed=5)
    assert np.array_equal(less[0, :, 0], whole[1, :2, 1])
    other = measure_connectivity([30], [1.3], features=2, repeats=2, seed=6)
    assert not np.isclose(other, less).any()


def test_no_radius_is_best_where_none_connects_the_samples() -> None:
    found = sum_up_graphs([10, 40], [0.05, 1.5], features=2, repeats=2, seed=0)
    assert found.unconnected[0][0] == found.unconnected[1][0] == 1
    assert found.bound[1][0] is None and found.bound[1][1] is not None
    assert found.best_radius[1] == 1.5 and found.best_radius_se[1] == 0
    assert any(
        "40 samples the best radius is the largest of the list, 1.5, in 2 of 2" in each for each in found.warnings
    )
    none = sum_up_graphs([10], [0.05], features=2, repeats=2, seed=0)
    assert (none.best_radius, none.best_radius_se, none.best_bound) == ([None], [None], [None])
    assert any("10 samples no radius connects the graph in 2 of 2 repeats" in each for each in none.warnings)


def test_with_many_features_few_samples_are_connected_best() -> None:
    """What the paper observed is of few features: 30 samples have but 30 eigenvalues, and number 13 is no small one."""
    few, many = measure_connectivity([30, 200], [0.8], features=12, repeats=4, seed=0).mean(axis=1)[:, 0]
    assert few > many + 0.1


@pytest.mark.parametrize(
    ("count", "sentence"),
    [(2, "2 samples are too few for 2 features"), (MOST, "allowed; take at most 99,502 samples")],
)
def test_what_has_no_graph_is_refused_before_any_is_drawn(count: int, sentence: str) -> None:
    lines: list[str] = []
    with pytest.raises(UserError, match=sentence):
        sum_up_graphs([30, count], [1.0], features=2, repeats=2, seed=0, sink=lines.append)
    assert not lines


def test_progress_is_told() -> None:
    lines: list[str] = []
    measure_connectivity([5], [1.0, 2.0], features=2, repeats=3, seed=0, sink=lines.append)
    assert lines[-1].startswith("graphs: 6/6 graphs")
