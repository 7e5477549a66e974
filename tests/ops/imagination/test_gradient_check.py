"""The check before a run: it passes what works, and names each link that is broken on purpose."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from ops.errors import UserError
from ops.generators.units import Unit
from ops.imagination.gradient_check import check_gradients
from ops.imagination.imagining import Imagination
from ops.imagination.presets import CORRECTED, PRESETS, Preset
from ops.imagination.projection import Ball
from ops.imagination.protocols import Answer, Request, Statistics
from tests.imagining import LinearPrior, RestlessPrior, SmoothScorer, make_seeds

IMAGES, UNITS = make_seeds(2)


def check(prior: Any = None, scorer: Any = None, preset: Preset = CORRECTED, units: Sequence[Unit] = UNITS) -> None:
    imagination = Imagination(prior or LinearPrior(), scorer or SmoothScorer(), preset, data=Statistics((0.4,), (0.3,)))
    check_gradients(imagination, IMAGES, units)


class Inferring(LinearPrior):
    @torch.inference_mode()
    def encode(self, images: Tensor) -> Tensor:
        return super().encode(images)


class RestlessInferring(RestlessPrior):
    @torch.inference_mode()
    def vary(self, images: Tensor, requests: Sequence[Request]) -> Tensor:
        return super().vary(images, requests)


PRIORS = (LinearPrior(), RestlessPrior(), Inferring(), RestlessInferring())


@pytest.mark.parametrize("preset", PRESETS.values(), ids=list(PRESETS))
@pytest.mark.parametrize("prior", PRIORS, ids=lambda prior: type(prior).__name__)
def test_what_works_passes(preset: Preset, prior: LinearPrior) -> None:
    check(prior, preset=preset)


class Decorated(LinearPrior):
    """The release's issue 1: a decoder under no_grad."""

    @torch.no_grad()
    def decode(self, latents: Tensor) -> Tensor:
        return super().decode(latents)


class Detached(LinearPrior):
    """Its images have a gradient with respect to its weights alone."""

    def decode(self, latents: Tensor) -> Tensor:
        return (super().decode(latents.detach()) * torch.ones(1, requires_grad=True)).clamp(0, 1)


class Overshooting(LinearPrior):
    def decode(self, latents: Tensor) -> Tensor:
        return 2 * super().decode(latents)


class Misshapen(LinearPrior):
    latent_shape = (12, 1, 1)

    def encode(self, images: Tensor) -> Tensor:
        return super().encode(images).view(-1, 3, 2, 2)


class Broken(SmoothScorer):
    """A scorer with one fault."""

    def __init__(self, fault: str) -> None:
        super().__init__()
        self.fault = fault

    def answer(self, inputs: Tensor, keys: Sequence[str], statistics: Statistics | None = None) -> Answer:
        features, logs = super().answer(inputs, keys, statistics)
        if self.fault == "detached features":
            features = features.detach()
        if self.fault == "constant":
            features, logs = features * 0 + 6**-0.5, logs * 0 - torch.log(torch.tensor(3.0))
        if self.fault == "logits":
            logs = logs + 1
        if self.fault == "long features":
            features = 2 * features
        if self.fault == "infinite":
            logs = logs + 0 * (inputs.flatten(1)[:, :1] - inputs.flatten(1)[:, :1]).sqrt()
        return Answer(features, logs)


@pytest.mark.parametrize(
    ("prior", "sentence"),
    [
        (Decorated(), "no gradient passes through the prior's decode"),
        (Detached(), "no gradient passes through the prior's decode"),
        (Overshooting(), "outside of 0..1"),
        (Misshapen(), "its latents are"),
    ],
    ids=["decorated", "detached", "overshooting", "misshapen"],
)
def test_a_faulty_prior_is_named(prior: LinearPrior, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        check(prior)


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        ("detached features", "no gradient passes through the scorer's features"),
        ("constant", "with respect to z and b is 0"),
        ("logits", "do not sum to 1"),
        ("long features", "not of length 1"),
        ("infinite", "not finite for the seed image seed 0"),
    ],
)
def test_a_faulty_scorer_is_named(fault: str, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        check(scorer=Broken(fault))


def test_a_ball_that_clamps_everything_is_named() -> None:
    with pytest.raises(UserError, match="a ball of radius 1e-09 may clamp every element"):
        check(preset=replace(CORRECTED, ball=Ball(1e-9)))


def test_a_label_without_a_class_is_named() -> None:
    with pytest.raises(UserError, match="the label 3 is not one of the scorer's 3 classes"):
        check(units=[Unit("a", 3, "a"), Unit("b", 0, "b")])


def test_a_large_group_is_climbed_in_calls_of_the_usual_size() -> None:
    prior = RestlessPrior()
    check_gradients(Imagination(prior, SmoothScorer(), CORRECTED, rows=3), IMAGES, UNITS, 7)
    assert max(prior.rows) == 3
