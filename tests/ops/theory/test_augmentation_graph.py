"""The graph's eigenvalues: closed forms, the graph of all views by its definition, random views, and symmetries."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ops.theory import augmentation_graph
from ops.theory.augmentation_graph import CENTRE, VARIANCE, draw_samples, find_eigenvalues, spread_views
from ops.theory.labelling_error import find_labelling_error

FINE = 60  # cells in a radius, where the truth is that of all views


def draw(count: int, seed: int = 0) -> np.ndarray:
    return draw_samples(count, np.random.default_rng(seed))


def share_overlap(distance: float, radius: float) -> float:
    """The area that two discs share, as a share of one of them."""
    half = distance / (2 * radius)
    return 2 / math.pi * (math.acos(half) - half * math.sqrt(1 - half**2)) if half < 1 else 0.0


def cover(samples: np.ndarray, radius: float, views: np.ndarray) -> np.ndarray:
    """float64 [n, views], 1 where a view lies in the disc of a sample."""
    return (np.linalg.norm(views - samples[:, None], axis=-1) < radius).astype(float)


@pytest.mark.parametrize("distance", [0.1, 0.7, 1.3, 1.9])
def test_of_two_samples_it_is_the_share_of_the_discs_that_overlaps(distance: float) -> None:
    """K is 1 less half of what they share, on the diagonal, so its other eigenvalue is 1 less the whole share."""
    found = find_eigenvalues(np.array([[0.2, 0.1], [0.2, 0.1 + distance]]), 1.0, 2, across=FINE)
    assert found[0] == 0
    assert 1 - found[1] == pytest.approx(1 - share_overlap(distance, 1.0), abs=0.004)


def test_of_a_ring_it_is_that_of_a_walk_around_it() -> None:
    """Where neighbours alone overlap, by a share o, the eigenvalues are o (1 - cos(2πj/m))."""
    angles = 2 * math.pi * np.arange(6) / 6
    found = find_eigenvalues(np.stack([np.cos(angles), np.sin(angles)], axis=1), 0.7, 6, across=FINE)
    expected = share_overlap(1.0, 0.7) * (1 - np.cos(2 * math.pi * np.array([0, 1, 1, 2, 2, 3]) / 6))
    assert found == pytest.approx(expected, abs=0.004)


@pytest.mark.parametrize("radius", [0.6, 1.1, 2.0])
def test_it_is_the_spectrum_of_the_graph_of_all_views(radius: float) -> None:
    samples, across = draw(12), 3
    middles = (np.arange(-200, 200) + 0.5) * radius / across
    middles = middles[np.abs(middles) < np.abs(samples).max() + radius]
    inside = cover(samples, radius, np.stack(np.meshgrid(middles, middles), axis=-1).reshape(-1, 2))
    chances = (inside / inside.sum(axis=1, keepdims=True))[:, inside.any(axis=0)]
    weights = chances.T @ chances / len(samples)
    degrees = weights.sum(axis=1)
    assert degrees == pytest.approx(chances.mean(axis=0))
    laplacian = np.eye(len(weights)) - weights / np.sqrt(np.outer(degrees, degrees))
    of_views = np.linalg.eigvalsh(laplacian)
    assert find_eigenvalues(samples, radius, 12, across=across) == pytest.approx(of_views[:12], abs=1e-12)
    assert of_views[12:] == pytest.approx(1), "the views have no others"


@pytest.mark.parametrize("radius", [0.8, 1.5])
def test_cells_stand_for_views_anywhere(radius: float) -> None:
    """Random views instead of a lattice, and overlaps that are divided by all discs at each of them."""
    samples, rng = draw(30, seed=3), np.random.default_rng(0)
    low, high = samples.min(axis=0) - radius, samples.max(axis=0) + radius
    inside = cover(samples, radius, rng.uniform(low, high, (60_000, 2)))
    inside = inside[:, inside.any(axis=0)]
    shared = np.prod(high - low) / 60_000 / (math.pi * radius**2) * (inside / inside.sum(axis=0)) @ inside.T
    assert shared.sum(axis=1) == pytest.approx(1, abs=0.05)
    expected = np.sort(1 - np.linalg.eigvalsh(shared / np.sqrt(np.outer(shared.sum(axis=1), shared.sum(axis=1)))))
    assert find_eigenvalues(samples, radius, 6)[1:] == pytest.approx(expected[1:6], abs=0.01)
    pairs = np.linalg.norm(samples - samples[:, None], axis=-1)
    areas = np.vectorize(share_overlap)(pairs, radius)
    areas /= np.sqrt(np.outer(areas.sum(axis=1), areas.sum(axis=1)))
    assert (1 - np.linalg.eigvalsh(areas)[-6:]).sum() > 1.5 * expected[:6].sum(), "areas of pairs alone are not enough"


def test_what_does_not_overlap_adds_a_zero_and_equal_parts_repeat_theirs() -> None:
    near = draw(100, seed=1)
    alone = find_eigenvalues(near, 1.0, 4, across=4)
    assert alone[1] > 0, "one component"
    shift = np.array([100.0, 0.0])  # 100 radii, so a whole number of cells
    both = find_eigenvalues(np.concatenate([near, near + shift]), 1.0, 8, across=4)
    assert both == pytest.approx(np.repeat(alone, 2), abs=1e-9)
    with_outlier = find_eigenvalues(np.concatenate([near, near[:1] + shift]), 1.0, 5, across=4)
    assert with_outlier == pytest.approx([0, *alone], abs=1e-9)
    far = np.arange(20)[:, None] * np.array([3.0, 0.0])
    assert np.array_equal(find_eigenvalues(far, 1.0, 20), np.zeros(20))


@pytest.mark.parametrize("radius", [0.4, 0.7, 1.5])
def test_lanczos_finds_what_the_whole_matrix_has(radius: float) -> None:
    samples = draw(150, seed=2)
    walks = spread_views(samples, radius).toarray()
    assert (walks @ walks.T).sum(axis=1) == pytest.approx(1), "each walk ends somewhere"
    expected = 1 - np.linalg.eigvalsh(walks @ walks.T)[::-1]
    assert len(samples) > augmentation_graph.SMALL
    assert find_eigenvalues(samples, radius, 8) == pytest.approx(expected[:8], abs=1e-9)


def test_neither_order_nor_scale_matters_and_equal_samples_are_as_near_as_can_be() -> None:
    samples = draw(40)
    found = find_eigenvalues(samples, 0.8, 10)
    assert np.all(np.diff(found) >= 0) and found[0] == 0 and found[-1] <= 1
    assert find_eigenvalues(samples[::-1], 0.8, 10) == pytest.approx(found, abs=1e-12)
    assert find_eigenvalues(4 * samples, 3.2, 10) == pytest.approx(found, abs=1e-12)
    assert find_eigenvalues(np.zeros((3, 2)), 0.8, 3) == pytest.approx([0, 1, 1])


def test_smaller_cells_change_little() -> None:
    for radius in (0.8, 1.5):
        coarse, fine = (find_eigenvalues(draw(100), radius, 3, across=across)[2] for across in (8, 24))
        assert coarse == pytest.approx(fine, rel=0.03)


def test_among_dense_samples_it_is_proportional_to_the_radius_squared_and_the_labelling_error_to_the_radius() -> None:
    """So the ratio of the two grows as the radius shrinks. Samples far from both classes are left out."""
    samples = draw(4_000)
    dense = samples[np.hypot(np.abs(samples[:, 0]) - CENTRE, samples[:, 1]) < 2 * math.sqrt(VARIANCE)]
    small, large = (find_eigenvalues(dense, radius, 3)[2] for radius in (0.35, 0.7))
    assert large / small == pytest.approx(4, rel=0.2)
    assert find_labelling_error(0.7) / find_labelling_error(0.35) == pytest.approx(2, rel=0.02)


def test_samples_are_those_of_two_classes_and_fewer_are_the_first_of_many() -> None:
    samples = draw(20_000)
    assert np.array_equal(samples[:50], draw(50))
    for first, middle in ((0, -CENTRE), (1, CENTRE)):
        of_class = samples[first::2]
        assert of_class.mean(axis=0) == pytest.approx([middle, 0], abs=5 * math.sqrt(VARIANCE / 10_000))
        assert of_class.var(axis=0) == pytest.approx([VARIANCE] * 2, rel=5 * math.sqrt(2 / 10_000))


@pytest.mark.parametrize("count", [0, 4])
def test_there_are_as_many_eigenvalues_as_samples(count: int) -> None:
    with pytest.raises(ValueError, match=f"3 samples have no {count} eigenvalues"):
        find_eigenvalues(draw(3), 1.0, count)
