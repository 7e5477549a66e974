"""The score's terms against the vectors of the reference note, closed forms and what they must be by symmetry."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from ops.imagination.criteria import (
    Criteria,
    Form,
    find_consistency,
    find_target,
    measure_diversity,
    measure_entropy,
    rate,
)
from ops.imagination.protocols import Answer

FORMS: tuple[Form, ...] = ("kl_from_mean", "kl_to_mean", "cosine")
PAIR = torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])


def answer(*probabilities: list[float]) -> Answer:
    logs = torch.tensor(probabilities).log()
    return Answer(torch.eye(3)[: len(logs)], logs)


def test_informativeness_is_the_vector_of_the_note() -> None:
    seed, variant = answer([0.7, 0.2, 0.1]), answer([0.5, 0.3, 0.2])
    assert measure_entropy(seed.log_probabilities).item() == pytest.approx(0.801819, abs=1e-6)
    assert measure_entropy(variant.log_probabilities).item() == pytest.approx(1.029653, abs=1e-6)
    scores = rate(variant, seed, 0, Criteria("prediction", diversity=0))
    assert scores.entropy.item() == pytest.approx(0.227834, abs=1e-6)
    assert scores.total.item() == pytest.approx(0.727834, abs=1e-6)
    weighted = rate(variant, seed, 0, Criteria("label", consistency=3.0, entropy=0.5, diversity=0))
    assert weighted.total.item() == pytest.approx(3 * 0.5 + 0.5 * 0.227834, abs=1e-6)


@pytest.mark.parametrize(("form", "value"), [("kl_from_mean", 0.093425), ("kl_to_mean", 0.088663)])
def test_diversity_is_the_vector_of_the_note(form: Form, value: float) -> None:
    assert measure_diversity(PAIR, form).mean().item() == pytest.approx(value, abs=1e-6)


def test_the_cosine_form_of_a_right_angle() -> None:
    assert measure_diversity(PAIR, "cosine").tolist() == pytest.approx([1 - math.sqrt(0.5)] * 2)


def test_the_target_is_the_label_or_the_prediction() -> None:
    seed = answer([0.2, 0.7, 0.1])
    assert find_target(seed, 2, Criteria("label")) == 2
    assert find_target(seed, 2, Criteria("prediction")) == 1
    for label in (-1, 3):
        with pytest.raises(ValueError, match="scorer's 3 classes"):
            find_target(seed, label, Criteria("prediction"))


@pytest.mark.parametrize("form", FORMS)
def test_one_variant_has_no_diversity_and_not_the_least_gradient(form: Form) -> None:
    features = torch.randn(1, 7, requires_grad=True)
    value = measure_diversity(features, form)
    assert value.tolist() == [0.0]
    assert torch.equal(torch.autograd.grad(value.sum(), features)[0], torch.zeros(1, 7))


@pytest.mark.parametrize("form", FORMS)
def test_identical_variants_have_no_diversity_and_others_have(form: Form) -> None:
    one = torch.nn.functional.normalize(torch.randn(1, 9, dtype=torch.float64), dim=1)
    same = one.expand(4, 9).clone().requires_grad_()
    value = measure_diversity(same, form)
    assert value.abs().max() < 1e-12
    assert torch.autograd.grad(value.sum(), same)[0].abs().max() < 1e-12
    others = torch.nn.functional.normalize(torch.randn(4, 9, dtype=torch.float64), dim=1)
    assert (measure_diversity(others, form) > 0).all()


def test_diversity_as_released_is_tiny_and_a_temperature_makes_it_count() -> None:
    torch.manual_seed(0)
    base, noise = (torch.nn.functional.normalize(torch.randn(1, 512), dim=1) for _ in range(2))
    pair = torch.nn.functional.normalize(torch.cat([base, 0.9 * base + 0.4 * noise]), dim=1)
    released = measure_diversity(pair, "kl_from_mean").mean().item()
    distance = (pair - pair.mean(0)).square().sum(1).mean().item()
    assert released == pytest.approx(distance / (2 * 512), rel=0.1)  # what the module's docstring says
    assert measure_diversity(pair, "kl_from_mean", 0.1).mean().item() == pytest.approx(100 * released, rel=0.1)
    assert measure_diversity(pair, "kl_from_mean", 0.01).mean().item() > 500 * released


def test_earlier_variants_count_in_the_mean_and_have_no_gradient() -> None:
    earlier = torch.tensor([[1.0, 0.0]], requires_grad=True)
    one = torch.tensor([[0.0, 1.0]], requires_grad=True)
    value = measure_diversity(one, "cosine", earlier=earlier)
    assert value.item() == pytest.approx(1 - math.sqrt(0.5))
    own, others = torch.autograd.grad(value.sum(), [one, earlier], allow_unused=True)
    assert own.abs().max() > 0
    assert others is None


@pytest.mark.parametrize(("classes", "weight"), [(3, 1.0), (10, 1.0), (10, 2.5), (100, 4.6)])
def test_the_optimum_over_all_answers_is_the_one_of_the_docstring(classes: int, weight: float) -> None:
    def total(logs: Tensor) -> Tensor:
        seed = Answer(torch.zeros(1, 1), torch.full((1, classes), -math.log(classes)))
        criteria = Criteria(consistency=weight, diversity=0)
        return rate(Answer(torch.zeros(1, 1), logs), seed, 0, criteria).total.sum()

    share = math.exp(weight) / (math.exp(weight) + classes - 1)
    best = torch.full((1, classes), math.log((1 - share) / (classes - 1)))
    best[0, 0] = math.log(share)
    logits = best.clone().requires_grad_()
    assert torch.autograd.grad(total(torch.log_softmax(logits, dim=1)), logits)[0].abs().max() < 1e-6
    for _ in range(20):
        assert total(torch.log_softmax(best + 0.3 * torch.randn(1, classes), dim=1)) < total(best)


@pytest.mark.parametrize(("classes", "entropy"), [(10, 1.0), (100, 1.0), (100, 2.0)])
def test_the_least_weight_keeps_half_of_the_probability_at_the_optimum(classes: int, entropy: float) -> None:
    ratio = find_consistency(classes, entropy) / entropy
    assert math.exp(ratio) / (math.exp(ratio) + classes - 1) == pytest.approx(0.5)


def test_without_a_weight_of_consistency_the_least_one_is_taken() -> None:
    seed, variant = answer([0.7, 0.2, 0.1]), answer([0.5, 0.3, 0.2])
    left, right = Criteria("label", consistency=None, entropy=2.0), Criteria("label", 2 * math.log(2), 2.0)
    assert torch.equal(rate(variant, seed, 1, left).total, rate(variant, seed, 1, right).total)


def test_settings_without_effect_are_refused() -> None:
    with pytest.raises(ValueError, match="no effect"):
        Criteria(form="cosine", temperature=0.1)
    with pytest.raises(ValueError, match="above 0"):
        Criteria(temperature=0)
