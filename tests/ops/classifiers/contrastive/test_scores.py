"""Scores without labels: closed forms on circle and sphere, plain loops, and views whose confusion is known."""

from __future__ import annotations

import math
import re

import pytest
import torch
from scipy.special import iv
from torch import Tensor

from ops.classifiers.contrastive import scores
from ops.classifiers.contrastive.scores import (
    compare_confusion,
    measure_alignment,
    measure_confusion,
    measure_uniformity,
)


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def place(angles: Tensor) -> Tensor:
    """Points on the circle, of any length; float [..., 2]."""
    return (1 + torch.arange(angles.numel()).reshape(angles.shape))[..., None] * torch.stack(
        [angles.cos(), angles.sin()], dim=-1
    )


@pytest.mark.parametrize("power", [1.0, 2.0, 3.0])
def test_alignment_of_views_at_known_angles(power: float) -> None:
    start = torch.linspace(0, 5, 7, dtype=torch.float64)
    views = place(torch.stack([start, start + 0.3, start - 0.5]))
    expected = sum((2 * math.sin(angle / 2)) ** power for angle in (0.3, 0.5, 0.8)) / 3
    assert measure_alignment(views, power) == pytest.approx(expected)
    assert measure_alignment(torch.stack([views[0], 3 * views[0]])) == pytest.approx(0, abs=1e-12)
    assert measure_alignment(torch.stack([views[0], -views[0]]), power) == pytest.approx(2**power)


def test_uniformity_of_an_even_circle_and_of_the_sphere() -> None:
    """Over a circle the mean of exp(-t·|x - y|²) is exp(-2t)·I₀(2t), over the sphere exp(-2t)·sinh(2t)/(2t)."""
    count = 700
    circle = place(2 * math.pi * torch.arange(count, dtype=torch.float64) / count)
    for sharpness in (0.5, 2.0):
        with_itself = math.exp(-2 * sharpness) * iv(0, 2 * sharpness)
        expected = (count * with_itself - 1) / (count - 1)  # an even circle sums as the integral does
        assert measure_uniformity(circle, sharpness) == pytest.approx(math.log(expected))
    sphere = math.log(math.exp(-4) * math.sinh(4) / 4)
    assert measure_uniformity(draw(3000, 3)) == pytest.approx(sphere, abs=0.02)


def test_uniformity_is_that_of_a_plain_loop_in_blocks_of_any_size(monkeypatch: pytest.MonkeyPatch) -> None:
    features = draw(23, 5)
    unit = torch.nn.functional.normalize(features.double(), dim=1)
    expected = torch.pdist(unit).square().mul(-2).exp().mean().log()
    for rows in (1, 4, 22, 23, 512):
        monkeypatch.setattr(scores, "ROWS", rows)
        assert measure_uniformity(features) == pytest.approx(float(expected))
    assert measure_uniformity(features[:1].repeat(9, 1)) == pytest.approx(0, abs=1e-12)
    apart = torch.tensor([[1.0, 0.0], [-1.0, 0.0]])
    assert measure_uniformity(apart, 1000.0) == pytest.approx(-4000), "no underflow"


def test_confusion_of_views_that_lie_apart_or_are_exchanged() -> None:
    images = torch.eye(6)
    near = torch.stack([images, images + 0.01 * draw(6, 6)])
    assert measure_confusion(near) == 0
    assert measure_confusion(torch.stack([images, images.roll(1, dims=0)])) == 1
    half = near.clone()
    half[1, :3] = near[1, :3].roll(1, dims=0)
    assert measure_confusion(half) == 0.5


def test_confusion_is_that_of_a_plain_loop_in_blocks_of_any_size(monkeypatch: pytest.MonkeyPatch) -> None:
    views = draw(3, 9, 4) + 0.7 * draw(9, 4, seed=1)
    flat = torch.nn.functional.normalize(views.double(), dim=-1).reshape(27, 4)
    wrong = 0
    for row in range(27):
        others = [column for column in range(27) if column != row]
        nearest = min(others, key=lambda column: float((flat[row] - flat[column]).norm()))
        wrong += nearest % 9 != row % 9
    assert 0 < wrong < 27
    for rows in (1, 5, 26, 27, 512):
        monkeypatch.setattr(scores, "ROWS", rows)
        assert measure_confusion(views) == pytest.approx(wrong / 27)


def test_equal_features_and_unrelated_views_are_confused_by_chance() -> None:
    chance = 1 - 2 / (3 * 40 - 1)
    assert measure_confusion(torch.ones(3, 40, 5)) == pytest.approx(chance)
    found = [measure_confusion(draw(3, 40, 5, seed=seed)) for seed in range(40)]
    assert sum(found) / 40 == pytest.approx(chance, abs=5 * math.sqrt(chance * (1 - chance) / 2400))


def test_a_training_that_gathers_views_raises_the_relative_confusion() -> None:
    assert compare_confusion(0.5, 0.25) == 1.5 and compare_confusion(0.2, 0.2) == 1
    images = draw(50, 8)
    far, near = (measure_confusion(images + noise * draw(4, 50, 8, seed=1)) for noise in (1.0, 0.3))
    assert compare_confusion(far, near) > 1 > compare_confusion(near, far)
    with pytest.raises(ValueError, match="the initial confusion is 1"):
        compare_confusion(1.0, 0.5)


def test_what_has_no_pairs_is_refused() -> None:
    for measure in (measure_alignment, measure_confusion):
        for views in (draw(1, 4, 3), draw(4, 3), torch.full((2, 4, 3), math.nan)):
            with pytest.raises(ValueError, match=re.escape("allowed: finite ones, [v, n, d] with v ≥ 2")):
                measure(views)
    for features in (draw(1, 3), draw(2, 4, 3), torch.full((2, 3), math.inf)):
        with pytest.raises(ValueError, match=re.escape("allowed: finite ones, [n, d] with n ≥ 2")):
            measure_uniformity(features)
