"""The guide's gradients: against finite differences, against one pass over the whole group, and in bounded memory."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from ops.imagination.ascent import Ascent
from ops.imagination.criteria import Criteria, Form
from ops.imagination.guide import Guide, make_guide
from ops.imagination.imagining import Imagination
from ops.imagination.perturbation import Perturbation
from ops.imagination.presets import CORRECTED, Preset
from ops.imagination.projection import Ball, Norm
from tests.imagining import LinearPrior, SmoothScorer, make_seeds

DOUBLE = torch.float64


def prepare(preset: Preset, count: int, rows: int) -> tuple[Guide, Tensor, Perturbation]:
    """A guide in float64, with the latents and the drawn perturbation of `count` variants."""
    images, (unit,) = make_seeds(1, DOUBLE)
    prior, scorer = LinearPrior(DOUBLE), SmoothScorer(DOUBLE)
    latents = prior.encode(images).expand(count, -1, -1, -1)
    drawn = Imagination(prior, scorer, preset).draw(unit, range(count), latents)
    guide = make_guide(prior, scorer, preset, unit, images[0], None, rows)
    prior.rows.clear()
    return guide, latents, Perturbation(*(value.double() for value in drawn))


@pytest.mark.parametrize("form", ["kl_from_mean", "kl_to_mean", "cosine"])
@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("scored", ["projected", "unprojected"])
def test_the_gradient_is_that_of_finite_differences(form: Form, norm: Norm, scored: str) -> None:
    criteria = Criteria(consistency=2.0, entropy=0.7, diversity=3.0, form=form)
    preset = replace(CORRECTED, criteria=criteria, ball=Ball(1.2, norm), scored=scored)
    guide, latents, drawn = prepare(preset, 4, rows=2)

    def total(z: Tensor, b: Tensor) -> float:
        moved = Perturbation(z, b)
        points = guide.place(latents, moved) if scored == "projected" else moved.apply(latents)
        return guide.rate(guide.judge(points)).total.sum().item()

    slope = guide.find_slope(latents, drawn).gradient
    tiny = 1e-5
    for which, gradient in enumerate(slope):
        for index in [(0, 0, 0, 0), (1, 2, 0, 0), (3, 1, 0, 0)]:
            ends = []
            for side in (tiny, -tiny):
                values = [value.clone() for value in drawn]
                values[which][index] += side
                ends.append(total(*values))
            assert gradient[index].item() == pytest.approx((ends[0] - ends[1]) / (2 * tiny), rel=1e-5, abs=1e-9)


@pytest.mark.parametrize("rows", [1, 2, 3, 7, 10])
def test_the_gradient_in_parts_is_that_of_one_pass_over_the_group(rows: int) -> None:
    guide, latents, drawn = prepare(replace(CORRECTED, ball=Ball(3.0)), 7, rows)
    leaves = Perturbation(*(value.clone().requires_grad_() for value in drawn))
    answer = guide.scorer.answer(guide.prior.decode(guide.place(latents, leaves)), ["seed 0"] * 7)
    expected = torch.autograd.grad(guide.rate(answer).total.sum(), list(leaves))
    found = guide.find_slope(latents, drawn)
    for value, other in zip(found.gradient, expected, strict=True):
        torch.testing.assert_close(value, other)
    torch.testing.assert_close(found.answer.features, answer.features.detach())


def test_every_call_has_the_same_number_of_rows_and_a_second_pass_is_made_only_where_diversity_counts() -> None:
    for weight, calls in ((1.0, 6), (0.0, 3)):
        criteria = Criteria(diversity=weight)
        guide, latents, drawn = prepare(replace(CORRECTED, criteria=criteria), 7, rows=3)
        guide.find_slope(latents, drawn)
        assert isinstance(guide.prior, LinearPrior)
        assert guide.prior.rows == [3] * calls


@pytest.mark.parametrize(("rule", "size"), [("sign", 1e-3), ("plain", 5e-2), ("adam", 1e-3)])
def test_small_steps_raise_the_score_of_every_variant_on_a_smooth_toy(rule: str, size: float) -> None:
    criteria = Criteria("label", consistency=3.0, diversity=0.0)
    preset = replace(
        CORRECTED, criteria=criteria, ball=Ball(50.0), ascent=Ascent(rule, 5, size)
    )  # fmt: skip
    images, units = make_seeds(6)
    for found in Imagination(LinearPrior(), SmoothScorer(), preset).imagine(images, units, 5):
        assert (found.after.total > found.before.total).all()


def test_diversity_alone_drives_variants_apart() -> None:
    criteria = Criteria("label", consistency=0.0, entropy=0.0, diversity=1.0, form="cosine")
    preset = replace(CORRECTED, criteria=criteria, ball=Ball(50.0), ascent=Ascent("sign", 3, 1e-2))
    images, units = make_seeds(4)
    for found in Imagination(LinearPrior(), SmoothScorer(), preset).imagine(images, units, 5):
        assert found.after.diversity.sum() > found.before.diversity.sum()
    (alone,) = Imagination(LinearPrior(), SmoothScorer(), preset).imagine(images[:1], units[:1], 1)
    assert torch.equal(alone.start.z, alone.end.z)
    assert alone.slope.item() == 0.0
