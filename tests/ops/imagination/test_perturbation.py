"""The perturbation of latents: its form, its shapes, and draws that depend on seed, seed image and number alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats

from ops.generators.noise import draw_noise
from ops.imagination.perturbation import Granularity, Perturbation, draw_perturbation, find_shape, no_perturbation

WHERE = {"seed": 3, "round_": 0}


@pytest.mark.parametrize(
    ("latent", "granularity", "shape"),
    [
        ((4, 64, 64), None, (4, 1, 1)),
        ((197, 1024), None, (1, 1024)),
        ((768,), None, (768,)),
        ((4, 8, 8), "element", (4, 8, 8)),
        ((4, 8, 8), "token", (1, 1, 8)),
        ((16, 32), "channel", (16, 1)),
    ],
)
def test_each_latent_has_its_usual_granularity_and_takes_others(
    latent: tuple[int, ...], granularity: Granularity | None, shape: tuple[int, ...]
) -> None:
    assert find_shape(latent, granularity) == shape
    drawn = draw_perturbation(shape, **WHERE, key="a", start=0, count=2)
    assert drawn.apply(torch.ones(2, *latent)).shape == (2, *latent)


def test_a_latent_of_four_axes_needs_a_granularity() -> None:
    with pytest.raises(ValueError, match="4 axes"):
        find_shape((2, 3, 4, 5))


def test_the_vector_of_the_reference_note() -> None:
    moved = Perturbation(torch.tensor([[0.5]]), torch.tensor([[-0.3]])).apply(torch.tensor([[1.0]]))
    assert moved.item() == pytest.approx(1.2)


def test_no_perturbation_gives_the_latents_back() -> None:
    latents = torch.randn(3, 4, 2, 2)
    assert torch.equal(no_perturbation((4, 1, 1), 3).apply(latents), latents)


def test_z_is_uniform_and_b_normal_and_both_are_independent_of_each_other_and_of_the_priors_noise() -> None:
    z, b = (value.double().numpy().ravel() for value in draw_perturbation((40,), **WHERE, key="a", start=0, count=500))
    prior = draw_noise((40,), **WHERE, unit="a", start=0, count=500).astype(float).ravel()
    assert stats.kstest(z, "uniform").pvalue > 0.01
    assert stats.kstest(b, "norm").pvalue > 0.01
    bound = 4 / np.sqrt(len(z))
    assert np.abs(np.corrcoef([z, b, prior, b**2, prior**2])[np.triu_indices(3, 1)]).max() < bound


def test_a_variant_is_drawn_alike_alone_and_among_others_and_unlike_its_siblings_and_other_seed_images() -> None:
    whole = draw_perturbation((4, 1, 1), **WHERE, key="a", start=0, count=20)
    part = draw_perturbation((4, 1, 1), **WHERE, key="a", start=5, count=3)
    for value, other in zip(whole.take(slice(5, 8)), part, strict=True):
        assert torch.equal(value, other)
    others = draw_perturbation((4, 1, 1), **WHERE, key="b", start=0, count=20)
    rounds = draw_perturbation((4, 1, 1), seed=3, round_=1, key="a", start=0, count=20)
    assert len(torch.cat([whole.z, others.z, rounds.z]).flatten().unique()) == 240
    assert len(torch.cat([whole.b, others.b, rounds.b]).flatten().unique()) == 240
