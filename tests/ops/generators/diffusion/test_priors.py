"""Tiny pipelines as priors of guided imagination, through `imagine`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from ops.errors import UserError
from ops.generators.diffusion.priors import StableDiffusionPrior, UnclipPrior, make_prior
from ops.generators.units import Unit
from ops.imagination.gradient_check import check_gradients
from ops.imagination.imagining import Imagination, imagine
from ops.imagination.presets import CORRECTED, nest
from ops.imagination.protocols import Answer, Request, Statistics, VaryingPrior

SHAPE = (1, 16, 16)
NAMES = ("bag", "ankle_boot")
UNITS = [Unit("seed a", 0, "a"), Unit("seed b", 1, "b")]


@dataclass(frozen=True)
class LinearScorer:
    """Two classes from a random linear map of the images, or of the latents."""

    size: int
    reads: Literal["images", "latents"] = "images"

    def answer(self, inputs: Tensor, keys: Sequence[str], statistics: Statistics | None = None) -> Answer:
        body = torch.randn(self.size, 6, generator=torch.Generator().manual_seed(1)) / self.size**0.5
        features = torch.tanh((inputs.flatten(1) - 0.5) @ body * 4)
        return Answer(F.normalize(features, dim=1), torch.log_softmax(features[:, :2] * 3, dim=1))


@pytest.fixture
def images() -> Tensor:
    return torch.rand(2, *SHAPE, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def diffusion(make_generator: Callable[..., Any]) -> StableDiffusionPrior:
    generator, sampler = make_generator(mode="image", sampler={"strength": 0.5})
    found = make_prior(generator.open(), sampler, NAMES)
    assert isinstance(found, StableDiffusionPrior)
    return found


@pytest.fixture
def unclip(make_generator: Callable[..., Any]) -> UnclipPrior:
    generator, sampler = make_generator("unclip", noise_level=300)
    found = make_prior(generator.open(), sampler, NAMES)
    assert isinstance(found, UnclipPrior)
    return found


def test_both_are_priors_that_vary(diffusion: StableDiffusionPrior, unclip: UnclipPrior, images: Tensor) -> None:
    for prior, shape in ((diffusion, (4, 16, 16)), (unclip, (16,))):
        assert isinstance(prior, VaryingPrior) and prior.latent_shape == shape
        assert prior.encode(images).shape == (2, *shape)
        requests = [Request("a", 0, k, 0, 0) for k in range(2)]
        varied = prior.vary(images[:1].expand(2, -1, -1, -1), requests)
        assert varied.shape == (2, *shape) and not torch.allclose(varied[0], varied[1])
        assert torch.equal(varied, prior.vary(images[:1].expand(2, -1, -1, -1), requests))


def test_decoding_has_a_gradient(diffusion: StableDiffusionPrior, unclip: UnclipPrior, images: Tensor) -> None:
    for prior in (diffusion, unclip):
        latents = prior.encode(images).clone().requires_grad_()
        decoded = prior.decode(latents)
        assert decoded.shape == (2, *SHAPE) and decoded.min() >= 0 and decoded.max() <= 1
        decoded.sum().backward()
        assert latents.grad is not None and latents.grad.abs().max() > 0


def test_the_gradient_through_every_step_of_unclip_is_right(unclip: UnclipPrior, images: Tensor) -> None:
    latents = unclip.encode(images[:1])
    direction = torch.randn(1, 16, generator=torch.Generator().manual_seed(2))

    def value(step: float) -> Tensor:
        return unclip.decode(latents + step * direction).double().mean()

    moved = latents.clone().requires_grad_()
    unclip.decode(moved).double().mean().backward()
    assert moved.grad is not None
    with torch.no_grad():
        slope = (value(1e-2) - value(-1e-2)) / 2e-2
    assert float((moved.grad * direction).sum()) == pytest.approx(float(slope), rel=0.05)


def test_guided_random_and_plain_images_by_stable_diffusion(diffusion: StableDiffusionPrior, images: Tensor) -> None:
    scorer, preset = LinearScorer(256), nest(CORRECTED)
    check_gradients(Imagination(diffusion, scorer, preset, rows=2), images[:1], UNITS[:1])
    found = {
        mode: list(imagine(diffusion, scorer, images, UNITS, 2, preset, mode, seed=0, rows=2))
        for mode in ("guided", "random", "prior")
    }
    for guided, random, plain in zip(*found.values(), strict=True):
        assert guided.images.shape == (2, *SHAPE)
        assert torch.equal(guided.start.z, random.start.z)
        assert (guided.latents - plain.latents).abs().max() <= preset.ball.radius + 1e-5
        assert not torch.equal(plain.images[0], plain.images[1])
    alone = next(imagine(diffusion, scorer, images[1:], UNITS[1:], 2, preset, seed=0, rows=2))
    assert torch.equal(alone.images, found["guided"][1].images)


def test_guidance_on_the_embedding_of_unclip_decodes_only_at_the_end(unclip: UnclipPrior, images: Tensor) -> None:
    scorer, preset = LinearScorer(16, "latents"), nest(CORRECTED)
    (guided,) = imagine(unclip, scorer, images[:1], UNITS[:1], 2, preset, seed=0, rows=2)
    assert guided.images.shape == (2, *SHAPE) and guided.start.z.shape == (2, 16)
    assert guided.after.total.sum() > guided.before.total.sum()
    assert not torch.allclose(unclip.decode(guided.latents), unclip.start_from("b").decode(guided.latents))


def test_flags_and_classes_of_a_prior(make_generator: Callable[..., Any], images: Tensor) -> None:
    generator, sampler = make_generator("flagging", mode="image", sampler={"strength": 0.5})
    prior = make_prior(generator.open(), sampler, NAMES)
    assert isinstance(prior, StableDiffusionPrior)
    assert prior.find_flagged(prior.encode(images)).tolist() == [True, True]
    with pytest.raises(UserError, match="the scorer has the classes in another order"):
        make_prior(generator.open(), sampler, NAMES[::-1])
    text, how = make_generator()
    with pytest.raises(ValueError, match="needs mode: image"):
        make_prior(text.open(), how, NAMES)
