"""The projection onto the ball: its bound without rounding, its nearest points, its gradient."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from ops.imagination.projection import Ball, Norm, measure_clamped, project

NORMS: tuple[Norm, ...] = ("linf", "l2")
RADII = st.floats(1e-3, 100.0)


def draw(seed: int, scale: float, spread: float) -> tuple[Tensor, Tensor]:
    """Centres of size `scale` and points that lie about `spread` away, float32 [6, 3, 2, 2]."""
    rng = np.random.default_rng(seed)
    centre = torch.from_numpy(scale * rng.standard_normal((6, 3, 2, 2)).astype(np.float32))
    return centre, centre + spread * torch.from_numpy(rng.standard_normal((6, 3, 2, 2)).astype(np.float32))


def measure(moved: Tensor, centre: Tensor, norm: Norm) -> Tensor:
    """Distances in float64, [n]."""
    offset = (moved.double() - centre.double()).flatten(1)
    return offset.abs().amax(1) if norm == "linf" else offset.norm(dim=1)


@pytest.mark.parametrize("norm", NORMS)
@given(seed=st.integers(0, 1000), radius=RADII, scale=st.sampled_from([0.0, 1e-3, 1.0, 1e4]), spread=RADII)
@settings(max_examples=150, deadline=None)
def test_nothing_is_ever_farther_away_than_the_radius_and_a_second_projection_changes_no_bit(
    norm: Norm, seed: int, radius: float, scale: float, spread: float
) -> None:
    centre, moved = draw(seed, scale, spread)
    ball = Ball(radius, norm)
    projected = project(moved, centre, ball)
    assert float(measure(projected, centre, norm).max()) <= radius
    assert torch.equal(project(projected, centre, ball), projected)
    inside = measure(moved, centre, norm) <= radius * (1 - 1e-9)
    assert torch.equal(projected[inside], moved[inside])


@pytest.mark.parametrize("norm", NORMS)
def test_the_projected_point_is_the_nearest_of_the_ball(norm: Norm) -> None:
    centre, moved = draw(0, 1.0, 1.0)
    ball = Ball(0.7, norm)
    projected = project(moved, centre, ball).double()
    best = (moved.double() - projected).flatten(1).norm(dim=1)
    rng = torch.Generator().manual_seed(1)
    for _ in range(300):
        rival = project(projected + 0.1 * torch.randn(moved.shape, generator=rng), centre.double(), ball)
        assert ((moved.double() - rival).flatten(1).norm(dim=1) >= best - 1e-6).all()


def test_the_closed_forms() -> None:
    centre, moved = draw(4, 1.0, 1.0)
    clipped = np.clip(moved.double().numpy(), centre.double().numpy() - 0.5, centre.double().numpy() + 0.5)
    np.testing.assert_allclose(project(moved, centre, Ball(0.5)).numpy(), clipped, atol=1e-6)
    offset = (moved - centre).double().numpy()
    length = np.sqrt((offset**2).sum(axis=(1, 2, 3), keepdims=True))
    np.testing.assert_allclose(
        project(moved, centre, Ball(2.0, "l2")).numpy(),
        centre.numpy() + offset * np.minimum(1, 2.0 / length),
        atol=1e-6,
    )


@pytest.mark.parametrize(("radius", "expected"), [(0.1, 1.1), (0.8, 1.2)])
def test_the_vectors_of_the_reference_note(radius: float, expected: float) -> None:
    assert project(torch.tensor([[1.2]]), torch.tensor([[1.0]]), Ball(radius)).item() == pytest.approx(expected)


def test_the_clamped_share_counts_the_elements_beyond_the_ball() -> None:
    centre = torch.zeros(3, 4)
    moved = torch.tensor([[0.0, 0.1, -0.2, 0.3], [1.0, -1.0, 0.2, 0.2], [2.0, 2.0, 2.0, -2.0]])
    assert measure_clamped(moved, project(moved, centre, Ball(0.5))).tolist() == [0.0, 0.5, 1.0]
    assert measure_clamped(moved, project(moved, centre, Ball(1.0, "l2"))).tolist() == [0.0, 1.0, 1.0]


def test_a_point_at_the_centre_stays_and_has_a_finite_gradient() -> None:
    for norm in NORMS:
        moved = torch.zeros(2, 3, requires_grad=True)
        projected = project(moved, torch.zeros(2, 3), Ball(1.0, norm))
        assert torch.equal(projected, torch.zeros(2, 3))
        assert torch.equal(torch.autograd.grad(projected.sum(), moved)[0], torch.ones(2, 3))


def test_no_gradient_passes_what_is_clamped() -> None:
    moved = torch.tensor([[0.2, 3.0]], requires_grad=True)
    clamped = torch.autograd.grad(project(moved, torch.zeros(1, 2), Ball(1.0)).sum(), moved)[0]
    assert clamped.tolist() == [[1.0, 0.0]]
    moved = torch.tensor([[0.0, 2.0]], requires_grad=True)  # along the radius none, across it scaled by 1 / 2
    shrunk = project(moved, torch.zeros(1, 2), Ball(1.0, "l2"))
    assert torch.autograd.grad(shrunk.sum(), moved)[0].tolist() == [[pytest.approx(0.5), pytest.approx(0.0, abs=1e-6)]]


@pytest.mark.parametrize("radius", [0.0, -1.0, float("nan")])
def test_a_ball_without_an_inside_is_refused(radius: float) -> None:
    with pytest.raises(ValueError, match="above 0"):
        Ball(radius)
