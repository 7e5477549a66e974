"""Kind `instance` as a prior of guided imagination: it keeps the protocol, and guidance moves features."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from ops.generators.denoising.network import describe_network
from ops.generators.instance.contrast import standardise
from ops.generators.instance.instance_prior import InstancePrior, open_instance_prior
from ops.generators.instance.network import build_networks, describe_encoder
from ops.generators.instance_kind import MATHS
from ops.generators.noise import draw_noise
from ops.generators.units import Unit
from ops.imagination.ascent import Ascent
from ops.imagination.gradient_check import check_gradients
from ops.imagination.imagining import Imagination, Mode
from ops.imagination.presets import CORRECTED
from ops.imagination.projection import Ball
from ops.imagination.protocols import Request, StartingPrior, VaryingPrior
from ops.machine.parallel import start_threads
from ops.recipe.instance import EncoderSettings, InstanceSettings
from ops.recipe.sampler import SamplerSettings
from tests.imagining import SmoothScorer

SHAPE, FEATURES = (1, 8, 8), 6
OURS = replace(CORRECTED, ball=Ball(0.8), ascent=Ascent("sign", 2, 0.1))
SCORER = SmoothScorer(size=64)
SCORER.reads = "images"
LEVELS = torch.linspace(0.2, 1, 43)[:, None, None, None] * torch.rand(43, *SHAPE, generator=torch.manual_seed(1))
IMAGES = LEVELS[::20]
UNITS = [Unit(f"seed {i}", i, f"seed {i}") for i in range(3)]


def make(strength: float | None = 0.3) -> InstancePrior:
    """Untrained networks, whose flow listens to what it is told."""
    own = EncoderSettings(width=8, features=FEATURES)
    config: dict[str, Any] = {
        "channels": 1, "height": 8, "width": 8, **describe_encoder(own, SHAPE),
        **describe_network(InstanceSettings(widths=(16,), encoder=own), 1),
    }  # fmt: skip
    torch.manual_seed(0)
    networks = build_networks(config).eval()
    with torch.no_grad(), start_threads() as pool:
        standardise(networks.encoder, (255 * LEVELS).to(torch.uint8), pool, "cpu")
        networks.flow.told[2].weight.mul_(20)
    sampler = SamplerSettings(solver="euler", steps=2, strength=strength)
    return open_instance_prior(MATHS, networks, SHAPE, FEATURES, sampler)


def ask(*ks: int, key: str = "seed 0") -> list[Request]:
    return [Request(key, 0, k, 1, 0) for k in ks]


def run(mode: Mode, count: int = 5, **keys: Any) -> list[Any]:
    return list(Imagination(make(), SCORER, OURS, mode, seed=1, **keys).imagine(IMAGES, UNITS, count))


def test_it_is_a_varying_prior_of_the_documented_shapes_and_ranges() -> None:
    prior = make()
    assert isinstance(prior, VaryingPrior) and isinstance(prior, StartingPrior) and prior.latent_shape == (FEATURES,)
    latents = prior.encode(IMAGES)
    images = prior.start_from(ask(0, 1, 2)).decode(latents)
    with pytest.raises(ValueError, match="say by start_from of which variants they are"):
        prior.decode(latents)
    assert latents.shape == (3, FEATURES) and images.shape == IMAGES.shape
    assert images.min() >= 0 and images.max() <= 1 and latents.dtype == images.dtype == torch.float32


def test_vary_hides_features_with_the_noise_of_the_exported_sampler() -> None:
    prior = make(0.6)
    varied = prior.vary(IMAGES[:1].repeat(2, 1, 1, 1), ask(4, 7))
    noise = draw_noise(SHAPE, seed=1, round_=0, unit="seed 0", start=7, count=1).reshape(-1)
    run = 64 // FEATURES
    signs = (-1.0) ** np.arange(run) / run**0.5
    g = (noise[: FEATURES * run].reshape(FEATURES, run) * signs).sum(axis=1)
    expected = 0.8 * prior.encode(IMAGES[:1])[0].numpy() + 0.6 * g
    np.testing.assert_allclose(varied[1].numpy(), expected, atol=1e-5)
    assert not torch.allclose(varied[0], varied[1])


def test_without_a_strength_nothing_is_hidden() -> None:
    prior = make(None)
    assert torch.equal(prior.vary(IMAGES[:1], ask(0)), prior.encode(IMAGES[:1]))


def test_decoding_follows_its_latents_its_noise_and_their_rows_alone() -> None:
    prior = make()
    latents = prior.encode(IMAGES)
    images = prior.start_from(ask(0, 1, 0)).decode(latents)
    assert torch.allclose(prior.start_from(ask(1)).decode(latents[1:2])[0], images[1], atol=1e-6)
    same = prior.start_from(ask(0, 0, 0)).decode(latents)
    assert torch.equal(same[0], images[0]) and torch.equal(same[2], images[2])
    for one, other in ((same[0], same[1]), (same[1], images[1])):  # other features, another noise
        assert (one - other).abs().max() > 0.01


def test_gradients_pass_through_decoding_and_guidance_passes_the_check_before_a_run() -> None:
    prior = make()
    latents = prior.encode(IMAGES).detach().requires_grad_()
    (gradient,) = torch.autograd.grad(prior.start_from(ask(0, 1, 2)).decode(latents).sum(), latents)
    assert gradient.isfinite().all() and (gradient != 0).any(dim=1).all()
    check_gradients(Imagination(prior, SCORER, OURS, seed=1), IMAGES[:2], UNITS[:2])


def test_guided_features_stay_in_the_ball_and_score_higher_than_before() -> None:
    guided, plain = run("guided"), run("prior")
    for found, start in zip(guided, plain, strict=True):
        assert found.images.shape == (5, *SHAPE) and (found.latents - start.latents).abs().max() <= 0.8 + 1e-5
    gains = torch.cat([found.after.total - found.before.total for found in guided])
    assert gains.mean() > 0


@pytest.mark.parametrize("mode", ["guided", "prior"])
def test_the_same_seeds_give_the_same_bits_alone_and_among_others(mode: Mode) -> None:
    whole = run(mode)
    alone = list(Imagination(make(), SCORER, OURS, mode, seed=1).imagine(IMAGES[1:2], UNITS[1:2], 5))
    assert torch.equal(alone[0].images, whole[1].images) and torch.equal(alone[0].latents, whole[1].latents)
