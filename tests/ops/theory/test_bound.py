"""The stability bound: each term by hand, its properties, and the numbers of generated samples found by brute force."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ops.theory.bound import Premises, bound_gap, find_efficient_number

PREMISES = st.builds(
    lambda real, largest, learner, divergence, change: Premises(real, largest, learner, divergence, lambda _: change),
    st.integers(2, 500),
    st.floats(0.1, 100),
    st.floats(0, 100),
    st.floats(0.05, 1),
    st.floats(0, 1),
)


def test_each_term_is_that_of_the_theorem() -> None:
    found = bound_gap(Premises(9, 2.0, 5.0, 0.5, lambda generated: generated / 64), 16)
    assert found.terms() == pytest.approx(
        {
            "divergence": 16 / 25 * 2 * 0.5,
            "sampling": 2 * (3 + 4) / 25,
            "learner_change": 9 * 4 * (5 / 25) / 25,
            "learner_stability": 5 / 25 * (9 * math.log(9) + 16 * math.log(16)) / 25,
            "generator_stability": 9 * math.log(9) * 2 * 0.25 / 25,
        }
    )
    assert found.total == pytest.approx(sum(found.terms().values()))
    assert found.generalization == pytest.approx(found.total - 0.64)


def test_without_generated_samples_it_is_the_bound_of_a_stable_learner() -> None:
    found = bound_gap(Premises(100, 3.0, 7.0, 0.9, lambda _: 1.0), 0)
    assert (found.divergence, found.learner_change, found.generator_stability) == (0, 0, 0)
    assert found.total == pytest.approx(3 / 10 + 7 / 100 * math.log(100))


@given(PREMISES, st.integers(0, 1000), st.floats(0, 1))
@settings(max_examples=60, deadline=None)
def test_a_nearer_or_steadier_generator_never_raises_it(premises: Premises, generated: int, factor: float) -> None:
    found = bound_gap(premises, generated).total
    nearer = replace(premises, divergence=factor * premises.divergence)
    steadier = replace(premises, generator=lambda number: factor * premises.generator(number))
    assert bound_gap(nearer, generated).total <= found
    assert bound_gap(steadier, generated).total <= found
    assert bound_gap(replace(premises, learner=factor * premises.learner), generated).total <= found


@given(PREMISES)
@settings(max_examples=40, deadline=None)
def test_the_most_efficient_number_is_the_first_by_trying_all(premises: Premises) -> None:
    found = find_efficient_number(premises)
    assert found is not None

    def is_efficient(generated: int) -> bool:
        bound = bound_gap(premises, generated)
        return bound.generalization <= bound.divergence

    assert is_efficient(found) and is_efficient(2 * found) and is_efficient(100 * found)
    assert not any(is_efficient(number) for number in range(min(found, 200)))
    assert found == 1 or not is_efficient(found - 1)


@pytest.mark.parametrize("divergence", [0.0, 5e-324, 1e-160])
def test_without_a_divergence_no_number_is_the_most_efficient(divergence: float) -> None:
    assert find_efficient_number(Premises(50, 1.0, 1.0, divergence, lambda _: 1.0)) is None


@given(PREMISES)
@settings(max_examples=40, deadline=None)
def test_it_goes_to_the_divergence_alone(premises: Premises) -> None:
    found = bound_gap(premises, 10**14)
    assert found.total == pytest.approx(premises.loss_range * premises.divergence, rel=1e-3)


@given(PREMISES, st.integers(1, 10**6))
@settings(max_examples=60, deadline=None)
def test_no_number_lowers_it_where_its_limit_is_no_lower_than_without(premises: Premises, generated: int) -> None:
    """That holds for learners whose loss changes by at most M in all."""
    steady = replace(premises, learner=min(premises.learner, premises.loss_range))
    without = bound_gap(steady, 0).total
    if steady.loss_range * steady.divergence >= without:
        assert bound_gap(steady, generated).total >= without
