"""Imagination as a whole: K variants per seed image, one randomness in all modes, and the same bits however it runs."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ops.generators.units import Unit
from ops.imagination.ascent import Ascent
from ops.imagination.criteria import Criteria
from ops.imagination.guide import NotFinite
from ops.imagination.imagined import ROWWISE, Imagined
from ops.imagination.imagining import Imagination, Mode
from ops.imagination.perturbation import draw_perturbation
from ops.imagination.presets import CORRECTED, PAPER, RELEASE, Groups, Preset, nest
from ops.imagination.projection import Ball
from ops.imagination.protocols import UNCHANGED, Answer, Statistics
from ops.imagination.scorers import EmbeddingScorer
from tests.imagining import LinearPrior, RestlessPrior, SmoothScorer, make_seeds

DATA = Statistics((0.4,), (0.3,))
OURS = replace(CORRECTED, ball=Ball(1.5), ascent=Ascent("sign", 3, 0.1))
IMAGES, UNITS = make_seeds(6)


def run(
    preset: Preset = OURS,
    mode: Mode = "guided",
    count: int = 5,
    images: Tensor = IMAGES,
    units: Sequence[Unit] = UNITS,
    **kwargs: Any,
) -> list[Imagined]:
    prior, scorer = kwargs.pop("prior", None) or RestlessPrior(), kwargs.pop("scorer", None) or SmoothScorer()
    imagination = Imagination(prior, scorer, preset, mode, seed=1, data=DATA, **kwargs)
    return list(imagination.imagine(images, units, count))


def flatten(found: Imagined) -> list[Tensor]:
    columns = [getattr(found, name) for name in ROWWISE]
    return [value for column in columns for value in ([column] if isinstance(column, Tensor) else column)]


def assert_equal(found: Sequence[Imagined], expected: Sequence[Imagined]) -> None:
    """Every bit of every column."""
    assert [each.unit for each in found] == [each.unit for each in expected]
    for one, other in zip(found, expected, strict=True):
        assert one.target == other.target
        for value, same in zip(flatten(one), flatten(other), strict=True):
            assert torch.equal(value, same)


@pytest.mark.parametrize("preset", [RELEASE, PAPER, OURS, nest(OURS, 4)], ids=lambda preset: preset.name)
@pytest.mark.parametrize("mode", ["guided", "random", "prior"])
@pytest.mark.parametrize("count", [1, 5, 7])
def test_there_are_exactly_k_variants_of_each_seed_image_inside_the_ball(
    preset: Preset, mode: Mode, count: int
) -> None:
    prior = RestlessPrior()
    found = run(preset, mode, count, prior=prior)
    assert [each.unit for each in found] == UNITS
    for each in found:
        assert len(each) == count
        assert all(len(value) == count for value in flatten(each))
        assert each.images.shape == (count, 1, 4, 4)
        torch.testing.assert_close(each.images, prior.decode(each.latents))
    plain = run(preset, "prior", count)
    for each, centre in zip(found, plain, strict=True):
        assert float((each.latents.double() - centre.latents.double()).abs().max()) <= preset.ball.radius


def test_the_modes_share_the_priors_noise_and_guided_and_random_share_z_and_b() -> None:
    guided, random, plain = (run(OURS, mode) for mode in ("guided", "random", "prior"))
    prior = RestlessPrior()
    for one, other, third, image in zip(guided, random, plain, IMAGES, strict=True):
        drawn = draw_perturbation((3, 1, 1), seed=1, round_=0, key=one.unit.key, start=0, count=5)
        for left, right, expected in zip(one.start, other.start, drawn, strict=True):
            assert torch.equal(left, expected)
            assert torch.equal(right, expected)
        assert torch.equal(other.end.z, other.start.z)
        assert not torch.equal(one.end.z, one.start.z)
        assert third.start.z.abs().max() == third.end.b.abs().max() == 0
        # The plain prior's latents are the f that the others perturb.
        moved = drawn.apply(third.latents)
        torch.testing.assert_close(other.latents, moved.clamp(third.latents - 1.5, third.latents + 1.5))
        assert not torch.equal(third.latents[0], third.latents[1])
        assert (third.latents - prior.encode(image[None])).abs().max() < 2
        # Where guidance starts is what random images are.
        for before, after in zip(one.before, other.after, strict=True):
            assert torch.equal(before, after)
        assert one.slope.min() > 0
        assert other.slope.max() == 0


def test_the_clamped_share_is_that_of_the_last_z_and_b() -> None:
    guided, plain = run(OURS)[0], run(OURS, "prior")[0]
    beyond = (guided.end.apply(plain.latents) - plain.latents).abs() > 1.5
    torch.testing.assert_close(guided.clamped, beyond.flatten(1).float().mean(1))
    assert 0 < guided.clamped.mean() < 1
    assert plain.clamped.max() == 0


class Convolutions(LinearPrior):
    """A decoder whose kernels round differently for batches of another size."""

    latent_shape = (4, 6, 6)

    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.net = nn.Sequential(nn.Conv2d(4, 24, 3, padding=1), nn.SiLU(), nn.Conv2d(24, 1, 3), nn.Sigmoid())
            self.enlarge = nn.Linear(16, 144)

    def encode(self, images: Tensor) -> Tensor:
        return self.enlarge(images.flatten(1)).unflatten(1, self.latent_shape)

    def decode(self, latents: Tensor) -> Tensor:
        return self.net(latents)


@pytest.mark.parametrize("preset", [RELEASE, PAPER, OURS, nest(OURS, 4)], ids=lambda preset: preset.name)
@pytest.mark.parametrize("prior", [RestlessPrior(), Convolutions()], ids=["restless", "convolutions"])
def test_order_company_workers_and_the_global_generator_change_no_bit(preset: Preset, prior: LinearPrior) -> None:
    torch.manual_seed(0)
    whole = run(preset, prior=prior)
    torch.manual_seed(1)
    torch.rand(3)
    order = [3, 0, 5, 2, 1, 4]
    mixed = run(preset, images=IMAGES[order], units=[UNITS[i] for i in order], prior=prior)
    assert_equal(mixed, [whole[i] for i in order])
    assert_equal(run(preset, images=IMAGES[4:5], units=UNITS[4:5], prior=prior), whole[4:5])
    for workers in (2, 3):
        with ThreadPoolExecutor(workers) as pool:
            shares = pool.map(
                lambda part: run(preset, images=IMAGES[part], units=UNITS[part], prior=prior),
                [slice(a, b) for a, b in pairwise(range(0, 7, 6 // workers))],
            )
        assert_equal([each for share in shares for each in share], whole)


@pytest.mark.parametrize("rows", [1, 2, 3, 5, 20])
@pytest.mark.parametrize("preset", [RELEASE, OURS, nest(OURS, 4)], ids=lambda preset: preset.name)
def test_another_number_of_rows_in_a_call_gives_the_same_up_to_rounding(preset: Preset, rows: int) -> None:
    for found, expected in zip(run(preset, rows=rows), run(preset, rows=4), strict=True):
        for value, other in zip(flatten(found), flatten(expected), strict=True):
            torch.testing.assert_close(value, other, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("remembers", [False, True])
@pytest.mark.parametrize("base", [RELEASE, PAPER, OURS], ids=lambda preset: preset.name)
@pytest.mark.parametrize("few", [3, 10])
def test_nested_presets_give_the_first_variants_of_a_larger_set(base: Preset, few: int, remembers: bool) -> None:
    preset = nest(base, 5, remembers=remembers)
    for small, large in zip(run(preset, count=few), run(preset, count=20), strict=True):
        assert_equal([small], [large.take(slice(few))])


def test_the_groups_mean_couples_variants_where_the_group_is_all_of_them() -> None:
    criteria = replace(OURS.criteria, diversity=5.0)
    coupled, free = (replace(OURS, criteria=replace(criteria, diversity=weight)) for weight in (5.0, 0.0))
    assert not torch.equal(run(coupled, count=5)[0].end.z, run(coupled, count=20)[0].end.z[:5])
    assert torch.equal(run(free, count=5)[0].images, run(free, count=20)[0].images[:5])
    for mode in ("random", "prior"):  # without steps nothing is coupled
        assert torch.equal(run(coupled, mode, 5)[0].images, run(coupled, mode, 20)[0].images[:5])


def test_groups_that_remember_keep_away_from_earlier_ones() -> None:
    criteria = Criteria(consistency=0.0, entropy=0.0, diversity=1.0, form="cosine")
    preset = replace(OURS, criteria=criteria, groups=Groups(1, complete=True, remembers=True))
    first, second = run(preset, count=1)[0], run(preset, count=2)[0]
    assert torch.equal(first.end.z, first.start.z)  # nobody to differ from
    assert not torch.equal(second.end.z[1], second.start.z[1])


def test_seed_image_and_variants_get_the_same_preprocessing_in_ours_and_not_in_the_release() -> None:
    for preset, expected in ((OURS, {None}), (PAPER, {None}), (RELEASE, {DATA, UNCHANGED})):
        scorer = SmoothScorer()
        run(preset, images=IMAGES[:1], units=UNITS[:1], scorer=scorer)
        assert {statistics for _, statistics in scorer.seen} == expected
        seed, *variants = scorer.seen
        assert torch.equal(seed[0], IMAGES[:1])
        assert len({statistics for _, statistics in variants}) == 1
        if preset is RELEASE:
            assert seed[1] == DATA


def imagine_as_released(prior: RestlessPrior, scorer: SmoothScorer, image: Tensor, key: str, count: int) -> Tensor:
    """The release's loop (reference note, 2.2) for one seed image, written anew: its images, in groups of two."""

    def entropy(p: Tensor) -> Tensor:
        return -(p * p.log()).sum(dim=-1)

    s = scorer.answer(image[None], [key], DATA).log_probabilities.exp()[0]
    j = s.argmax()
    plain = run(RELEASE, "prior", count, images=image[None], units=[Unit(key, 0, key)])[0].latents
    images = []
    for first in range(0, count, 2):
        f = plain[first : first + 2]
        size = len(f)
        drawn = draw_perturbation((3, 1, 1), seed=1, round_=0, key=key, start=first, count=size)
        z, b = drawn.z.clone().requires_grad_(), drawn.b.clone().requires_grad_()
        found = scorer.answer(prior.decode((1 + z) * f + b), [key] * size, UNCHANGED)
        p, features = found.log_probabilities.exp(), found.features
        mean = features.mean(dim=0, keepdim=True).expand_as(features)
        divergence = F.kl_div(
            F.log_softmax(features, dim=1), F.log_softmax(mean, dim=1), log_target=True, reduction="batchmean"
        )
        score = (entropy(p) - entropy(s)).mean() + p[:, j].mean() + divergence
        score.backward()
        with torch.no_grad():
            z, b = z + 0.1 * z.grad.sign(), b + 0.1 * b.grad.sign()
            moved = torch.max(torch.min((1 + z) * f + b, f + 0.8), f - 0.8)
            images.append(prior.decode(moved))
    return torch.cat(images)


@pytest.mark.parametrize("count", [4, 5])
def test_the_release_is_the_loop_of_its_code(count: int) -> None:
    for image, unit, found in zip(IMAGES, UNITS, run(RELEASE, count=count), strict=True):
        expected = imagine_as_released(RestlessPrior(), SmoothScorer(), image, unit.key, count)
        torch.testing.assert_close(found.images, expected, rtol=0, atol=1e-6)


def test_an_embedding_is_guided_before_it_is_decoded() -> None:
    class Embeddings(LinearPrior):
        latent_shape = (12,)

        def encode(self, images: Tensor) -> Tensor:
            return (images.flatten(1) - 0.5) @ self.into

    prior = Embeddings()
    scorer = EmbeddingScorer(F.normalize(prior.encode(IMAGES[:3]), dim=1), scale=5.0)
    preset = replace(OURS, ascent=Ascent("sign", 2, 0.01), ball=Ball(10.0))
    found = run(preset, prior=prior, scorer=scorer)
    assert found[0].start.z.shape == (5, 12)
    assert len(prior.rows) == len(IMAGES)  # only the finished latents were decoded
    assert all((each.after.total.sum() > each.before.total.sum()) for each in found)
    with pytest.raises(ValueError, match="no image to normalise"):
        run(RELEASE, prior=prior, scorer=scorer)


def test_the_scorer_sees_float32_where_the_prior_decodes_in_bf16() -> None:
    class Coarse(RestlessPrior):
        def decode(self, latents: Tensor) -> Tensor:
            return super().decode(latents).bfloat16()

    scorer = SmoothScorer()
    found = run(prior=Coarse(), scorer=scorer)
    assert {inputs.dtype for inputs, _ in scorer.seen} == {torch.float32}
    assert found[0].images.dtype == torch.float32


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"count": 0}, "1 variant or more"),
        ({"units": UNITS[:2]}, "do not fit"),
        ({"units": [*UNITS[:5], UNITS[0]]}, "same key"),
        ({"mode": "guded"}, "mode is one of"),
        ({"rows": 0}, "1 row or more"),
    ],
)
def test_bad_arguments_are_refused_before_anything_is_computed(change: dict[str, Any], sentence: str) -> None:
    prior = RestlessPrior()
    with pytest.raises(ValueError, match=sentence):
        run(prior=prior, **change)
    assert prior.rows == []


def test_a_gradient_or_latent_that_is_not_finite_is_not_taken_for_a_step() -> None:
    class Steep(RestlessPrior):
        def decode(self, latents: Tensor) -> Tensor:
            return super().decode(latents) + 0 * (latents - latents).flatten(1)[:, :1, None, None].sqrt()

    with pytest.raises(NotFinite, match="gradient is not finite for the seed image seed 0"):
        run(prior=Steep())
    run(mode="random", prior=Steep())  # where no gradient is taken, none is needed
    with pytest.raises(NotFinite, match="latents of the seed image seed 0 are not finite"):
        run(mode="random", images=IMAGES * torch.nan)


def test_an_answer_takes_rows() -> None:
    answer = Answer(torch.eye(3), torch.zeros(3, 2))
    assert torch.equal(answer.take(torch.tensor([2, 0])).features, torch.eye(3)[[2, 0]])
