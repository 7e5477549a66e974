"""The scorers: the cross-fitted classifier as the house's own scorer answers, the zero-shot one, the probe, and the
classifier on embeddings."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from ops.generators.units import Unit
from ops.imagination.gradient_check import check_gradients
from ops.imagination.imagining import Imagination
from ops.imagination.presets import CORRECTED, nest
from ops.imagination.protocols import UNCHANGED, Statistics
from ops.imagination.scorers import CrossFittedScorer, EmbeddingScorer, Heads, OnHost, ProbeScorer, ZeroShotScorer
from tests.imagining import LinearPrior
from tests.networks import untrained_scorer

KEYS = ["a", "b", "c", "d", "e"]
FOLDS = dict(zip(KEYS, [2, 0, 1, 0, 2], strict=True))
HOUSE = untrained_scorer(channels=1, classes=4, folds=3)
SCORER = CrossFittedScorer(HOUSE.models, 1.7, FOLDS)


def draw_levels(channels: int = 1) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (5, channels, 8, 8), np.uint8)


def test_answers_are_those_of_the_houses_scorer_by_the_network_that_did_not_see_the_image() -> None:
    levels = torch.from_numpy(draw_levels())
    networks = np.array(list(FOLDS.values()))
    house = untrained_scorer(channels=1, classes=4, folds=3)
    probabilities, features = type(house)(house.models, 1.7, "fp32").examine(levels, networks)
    answer = SCORER.answer(levels / 255, KEYS)
    np.testing.assert_allclose(answer.log_probabilities.exp().detach(), probabilities, atol=1e-5)
    own = torch.from_numpy(np.stack([features[network][i] for i, network in enumerate(networks)]))
    torch.testing.assert_close(answer.features.detach(), F.normalize(own, dim=1), rtol=1e-4, atol=1e-5)


def test_the_gradient_with_respect_to_each_image_is_that_of_its_own_network() -> None:
    levels = (torch.from_numpy(draw_levels()) / 255).requires_grad_()
    found = torch.autograd.grad(SCORER.answer(levels, KEYS).log_probabilities[:, 1].sum(), levels)[0]
    for i, network in enumerate(FOLDS.values()):
        alone = levels[i : i + 1].detach().requires_grad_()
        logs = torch.log_softmax(HOUSE.models[network](2 * alone - 1) / 1.7, dim=1)
        torch.testing.assert_close(found[i : i + 1], torch.autograd.grad(logs[0, 1], alone)[0], rtol=1e-3, atol=1e-6)
    assert (found.flatten(1).abs().amax(1) > 0).all()


def test_statistics_replace_the_normalisation() -> None:
    levels = torch.from_numpy(draw_levels()) / 255
    logits = HOUSE.models[0]((levels[:1] - 0.2) / 0.4)
    told = SCORER.answer(levels[:1], ["b"], Statistics((0.2,), (0.4,)))
    torch.testing.assert_close(told.log_probabilities, torch.log_softmax(logits / 1.7, dim=1))
    raw = SCORER.answer(levels[:1], ["b"], UNCHANGED)
    torch.testing.assert_close(raw.log_probabilities, torch.log_softmax(HOUSE.models[0](levels[:1]) / 1.7, dim=1))


def test_a_scorer_on_the_host_answers_and_passes_gradients_as_the_scorer_itself() -> None:
    levels = (torch.from_numpy(draw_levels()) / 255).requires_grad_()
    (own, _), (there, logs) = SCORER.answer(levels, KEYS), OnHost(SCORER).answer(levels, KEYS)
    assert torch.equal(own, there)
    assert torch.autograd.grad(logs[:, 1].sum(), levels)[0].abs().max() > 0


def test_an_unknown_seed_image_is_refused() -> None:
    with pytest.raises(ValueError, match="did not see the seed image z"):
        SCORER.answer(torch.zeros(2, 1, 8, 8), ["a", "z"])


def test_a_house_network_guides_and_the_bits_do_not_depend_on_other_seed_images() -> None:
    images = torch.from_numpy(draw_levels()[:, :, :4, :4]) / 255
    units = [Unit(key, i % 4, key) for i, key in enumerate(KEYS)]
    preset = nest(CORRECTED, 5)
    imagination = Imagination(LinearPrior(), SCORER, preset)
    check_gradients(imagination, images, units)
    whole, back = list(imagination.imagine(images, units, 7)), list(imagination.imagine(images.flip(0), units[::-1], 7))
    for one, other in zip(whole, back[::-1], strict=True):
        assert torch.equal(one.images, other.images)
        assert torch.equal(one.after.total, other.after.total)
    assert all(parameter.grad is None for model in HOUSE.models for parameter in model.parameters())


def test_an_embedding_is_classified_by_its_cosines() -> None:
    classes = F.normalize(torch.randn(3, 6, generator=torch.Generator().manual_seed(0)), dim=1)
    latents = torch.randn(4, 6, generator=torch.Generator().manual_seed(1))
    answer = EmbeddingScorer(classes, 10.0).answer(latents, [""] * 4)
    cosines = np.array([[float(x @ c) / float(x.norm()) for c in classes] for x in latents])
    expected = np.exp(10 * cosines) / np.exp(10 * cosines).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(answer.log_probabilities.exp(), expected, atol=1e-5)
    with pytest.raises(ValueError, match="no image to normalise"):
        EmbeddingScorer(classes).answer(latents, [""] * 4, UNCHANGED)


def test_the_cosines_are_those_of_embeddings_before_they_were_standardised() -> None:
    rng = torch.Generator().manual_seed(2)
    classes, embeddings = F.normalize(torch.randn(3, 6, generator=rng), dim=1), torch.randn(4, 6, generator=rng) + 3
    mean, deviation = embeddings.mean(0), embeddings.std(0)
    latents = (embeddings - mean) / deviation
    found = EmbeddingScorer(classes, 10.0, mean, deviation).answer(latents, [""] * 4)
    expected = EmbeddingScorer(classes, 10.0).answer(embeddings, [""] * 4)
    torch.testing.assert_close(found.log_probabilities, expected.log_probabilities)
    assert not torch.allclose(EmbeddingScorer(classes, 10.0).answer(latents, [""] * 4).features, expected.features)
    with pytest.raises(ValueError, match="give both, or neither"):
        EmbeddingScorer(classes, mean=mean)


def see(images: torch.Tensor, statistics: Statistics | None) -> torch.Tensor:
    mean, deviation = statistics or Statistics((0.0,), (1.0,))
    return (images.flatten(1)[:, :6] - mean[0]) / deviation[0]


def test_a_zero_shot_scorer_compares_what_it_sees_with_the_classes() -> None:
    classes = F.normalize(torch.randn(3, 6, generator=torch.Generator().manual_seed(0)), dim=1)
    scorer = ZeroShotScorer(lambda images, told: F.normalize(see(images, told), dim=1), classes, 10.0)
    levels = (torch.from_numpy(draw_levels()) / 255).requires_grad_()
    answer = scorer.answer(levels, KEYS)
    embedded = EmbeddingScorer(classes, 10.0).answer(levels.flatten(1)[:, :6], KEYS)
    torch.testing.assert_close(answer.log_probabilities, embedded.log_probabilities)
    assert (torch.autograd.grad(answer.log_probabilities[:, 0].sum(), levels)[0] != 0).any()
    told = scorer.answer(levels, KEYS, Statistics((0.5,), (0.2,)))
    assert not torch.allclose(told.features, answer.features)


def test_a_probe_answers_by_the_head_that_did_not_see_the_seed_image() -> None:
    heads = Heads(
        mean=torch.tensor([[0.1] * 6, [0.2] * 6]),
        deviation=torch.tensor([[0.5] * 6, [0.25] * 6]),
        weights=torch.randn(2, 3, 6, generator=torch.Generator().manual_seed(1)),
        intercepts=torch.tensor([[0.0, 0.3, -1e4], [0.1, -0.2, 0.0]]),
        temperature=2.0,
    )
    scorer = ProbeScorer(see, heads, {"a": 0, "b": 1})
    levels = torch.from_numpy(draw_levels()[:2]) / 255
    answer = scorer.answer(levels, ["a", "b"])
    for row, (mean, deviation) in enumerate(((0.1, 0.5), (0.2, 0.25))):
        own = (levels[row].flatten()[:6] - mean) / deviation
        logits = (heads.weights[row] @ own + heads.intercepts[row]) / 2.0
        torch.testing.assert_close(answer.log_probabilities[row], torch.log_softmax(logits, dim=0))
        torch.testing.assert_close(answer.features[row], F.normalize(own, dim=0))
    assert answer.log_probabilities[0, 2].exp() == 0 and answer.log_probabilities.isfinite().all()
    with pytest.raises(ValueError, match="did not see the seed image z"):
        scorer.answer(levels, ["a", "z"])
