"""Tiny pipelines as priors of guided imagination, through `Imagination`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from ops.generators.diffusion.priors import StableDiffusionPrior, UnclipPrior, build_prior
from ops.generators.units import Unit
from ops.imagination.gradient_check import check_gradients
from ops.imagination.imagining import Imagination, Mode
from ops.imagination.presets import CORRECTED, nest
from ops.imagination.protocols import (
    Answer,
    CheckedPrior,
    PromptedPrior,
    Request,
    StartingPrior,
    Statistics,
    VaryingPrior,
)

SHAPE = (1, 16, 16)
NAMES = ("bag", "ankle_boot")
UNITS = [Unit("seed a", 0, "a"), Unit("seed b", 1, "b")]
REQUESTS = [Request("seed a", 0, k, 0, 0) for k in range(2)]


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
    found = build_prior(generator.open(), sampler)
    assert isinstance(found, StableDiffusionPrior)
    return found


@pytest.fixture
def unclip(make_generator: Callable[..., Any]) -> UnclipPrior:
    generator, sampler = make_generator("unclip", noise_level=300)
    found = build_prior(generator.open(), sampler)
    assert isinstance(found, UnclipPrior)
    return found


def test_both_are_priors_that_vary(diffusion: StableDiffusionPrior, unclip: UnclipPrior, images: Tensor) -> None:
    assert isinstance(diffusion, CheckedPrior) and isinstance(diffusion, PromptedPrior)
    assert isinstance(unclip, StartingPrior)
    for prior, shape in ((diffusion, (4, 16, 16)), (unclip, (16,))):
        assert isinstance(prior, VaryingPrior) and prior.latent_shape == shape
        assert prior.encode(images).shape == (2, *shape)
        varied = prior.vary(images[:1].expand(2, -1, -1, -1), REQUESTS)
        assert varied.shape == (2, *shape) and not torch.allclose(varied[0], varied[1])
        assert torch.equal(varied, prior.vary(images[:1].expand(2, -1, -1, -1), REQUESTS))


def test_decoding_has_a_gradient(diffusion: StableDiffusionPrior, unclip: UnclipPrior, images: Tensor) -> None:
    for prior in (diffusion, unclip.start_from(REQUESTS)):
        latents = prior.encode(images).clone().requires_grad_()
        decoded = prior.decode(latents)
        assert decoded.shape == (2, *SHAPE) and decoded.min() >= 0 and decoded.max() <= 1
        decoded.sum().backward()
        assert latents.grad is not None and latents.grad.abs().max() > 0


def test_the_gradient_through_every_step_of_unclip_is_right(unclip: UnclipPrior, images: Tensor) -> None:
    latents, started = unclip.encode(images[:1]), unclip.start_from(REQUESTS[:1])
    direction = torch.randn(1, 16, generator=torch.Generator().manual_seed(2))

    def value(step: float) -> Tensor:
        return started.decode(latents + step * direction).double().mean()

    moved = latents.clone().requires_grad_()
    started.decode(moved).double().mean().backward()
    assert moved.grad is not None
    with torch.no_grad():
        slope = (value(1e-2) - value(-1e-2)) / 2e-2
    assert float((moved.grad * direction).sum()) == pytest.approx(float(slope), rel=0.05)


def test_guided_random_and_plain_images_by_stable_diffusion(diffusion: StableDiffusionPrior, images: Tensor) -> None:
    scorer, preset = LinearScorer(256), nest(CORRECTED)
    check_gradients(Imagination(diffusion, scorer, preset, rows=2), images[:1], UNITS[:1])
    modes: list[Mode] = ["guided", "random", "prior"]
    found = {
        mode: list(Imagination(diffusion, scorer, preset, mode, rows=2).imagine(images, UNITS, 2)) for mode in modes
    }
    for guided, random, plain in zip(*found.values(), strict=True):
        assert guided.images.shape == (2, *SHAPE)
        assert torch.equal(guided.start.z, random.start.z)
        assert (guided.latents - plain.latents).abs().max() <= preset.ball.radius + 1e-5
        assert not torch.equal(plain.images[0], plain.images[1])
    alone = next(Imagination(diffusion, scorer, preset, rows=2).imagine(images[1:], UNITS[1:], 2))
    assert torch.equal(alone.images, found["guided"][1].images)


def test_guidance_on_the_embedding_of_unclip_decodes_only_at_the_end(unclip: UnclipPrior, images: Tensor) -> None:
    scorer, preset = LinearScorer(16, "latents"), nest(CORRECTED)
    (guided,) = Imagination(unclip, scorer, preset, rows=2).imagine(images[:1], UNITS[:1], 2)
    assert guided.images.shape == (2, *SHAPE) and guided.start.z.shape == (2, 16)
    assert guided.after.total.sum() > guided.before.total.sum()
    own, other = (
        unclip.start_from([Request("seed a", 0, k, 0, 0) for k in ks]).decode(guided.latents) for ks in ((0, 1), (2, 1))
    )
    assert torch.allclose(own, guided.images, atol=1e-5)
    assert torch.equal(own[1], other[1]) and not torch.allclose(own[0], other[0], atol=1e-3)
    with pytest.raises(ValueError, match="say by start_from of which variants they are"):
        unclip.decode(guided.latents)


def test_a_gradient_through_unclip_remembers_one_evaluation_and_is_the_same(
    unclip: UnclipPrior, images: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    latents, started, unet = unclip.encode(images[:1]), unclip.start_from(REQUESTS[:1]), unclip.diffuser.parts.unet
    calls, forward = list[int](), unet.forward

    def count(*args: Any, **keys: Any) -> Any:
        calls.append(0)
        return forward(*args, **keys)

    def differentiate() -> Tensor:
        moved = latents.clone().requires_grad_()
        return torch.autograd.grad(started.decode(moved).sum(), moved)[0]

    monkeypatch.setattr(unet, "forward", count)
    found = differentiate()
    assert len(calls) == 2 * 2  # two steps, each computed again for its gradient
    monkeypatch.setattr("torch.utils.checkpoint.checkpoint", lambda compute, *args, **keys: compute(*args))
    assert torch.allclose(differentiate(), found, atol=1e-6)
    assert len(calls) == 4 + 2


def test_flags_and_classes_of_a_prior(make_generator: Callable[..., Any], images: Tensor) -> None:
    generator, sampler = make_generator("flagging", mode="image", sampler={"strength": 0.5})
    prior = build_prior(generator.open(), sampler)
    assert isinstance(prior, StableDiffusionPrior)
    drawn, flagged = prior.finish(prior.encode(images))
    assert prior.is_checked and flagged.tolist() == [True, True]
    assert torch.equal(drawn, prior.decode(prior.encode(images)))
    text, how = make_generator()
    with pytest.raises(ValueError, match="needs mode: image"):
        build_prior(text.open(), how)
