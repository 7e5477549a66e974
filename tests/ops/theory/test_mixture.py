"""The mixture's bound as published and corrected, against the notebook's values and their faults; closed forms."""

from __future__ import annotations

import math

import pytest

from ops.theory.mixture import (
    Mixture,
    correct_bound,
    expect_nll_difference,
    expect_test_nll,
    find_gap_floor,
    publish_bound,
    split_classes,
    state_premises,
)

GAMMAS = (0, 1, 2, 5, 10, 20, 50, 100)
HIGH, LOW = Mixture(dim=50, real=10), Mixture(dim=1, real=40)


def test_the_published_bound_has_the_notebooks_values() -> None:
    high = [149.014, 113.063, 94.000, 74.508, 65.485, 60.115, 56.318, 54.799]
    low = [1.174, 6.187, 5.574, 4.235, 3.210, 2.352, 1.519, 1.080]
    assert [publish_bound(HIGH, 10 * gamma).total for gamma in GAMMAS] == pytest.approx(high, abs=6e-4)
    assert [publish_bound(LOW, 40 * gamma).total for gamma in GAMMAS] == pytest.approx(low, abs=6e-4)


def test_corrected_it_starts_below_all_others() -> None:
    """The published fall from 149 is a generator's stability that is counted although nothing is generated."""
    none = correct_bound(HIGH, 0).total
    assert none == pytest.approx(28.58, abs=0.005)
    assert publish_bound(HIGH, 0).total - none == pytest.approx((50 + math.log(10)) * math.log(10))
    assert none < 50 + math.log(10) < min(correct_bound(HIGH, 10 * gamma).total for gamma in GAMMAS[1:])


def test_corrected_each_generated_sample_counts_in_the_learners_stability() -> None:
    largest = 50 + math.log(10)
    for gamma in GAMMAS[1:]:
        published, corrected = publish_bound(HIGH, 10 * gamma), correct_bound(HIGH, 10 * gamma)
        more = largest / (10 * (1 + gamma)) * (gamma - 1) * math.log(10 * gamma) / (1 + gamma)
        assert corrected.learner_stability - published.learner_stability == pytest.approx(more)
        assert 0 <= corrected.total / published.total - 1 < 0.031


def test_distances_of_distributions_stay_at_most_1_and_above_0() -> None:
    assert publish_bound(LOW, 40).divergence == 0, "log 1 is 0"
    assert correct_bound(LOW, 40).divergence > 0
    for dim in (1, 2, 3, 50):
        for real in (4, 10, 1000, 10**6):
            premises = state_premises(Mixture(dim, real))
            assert 0 < premises.divergence <= 1
            changes = [premises.generator(number) for number in (1, real, 10**13)]
            assert changes == sorted(changes) and changes[-1] == 1 and changes[0] > 0
    assert state_premises(Mixture(3, 10**6)).divergence == pytest.approx(math.sqrt(3 * math.log(3)) / 1000)
    assert publish_bound(Mixture(3, 10**6), 10**6).divergence == pytest.approx((3 + math.log(10**6)) / 2)


def test_closed_forms_are_those_of_even_numbers() -> None:
    for dim, real in ((50, 10), (1, 40), (3, 500)):
        mixture = Mixture(dim, real)
        for gamma in GAMMAS:
            test = dim / 2 * (1 + 1 / real + gamma / (real * (1 + gamma) ** 2))
            assert expect_test_nll(mixture, gamma * real) == pytest.approx(test)
            difference = dim / real * (2 * gamma + 1) / (1 + gamma) ** 2
            assert expect_nll_difference(mixture, gamma * real) == pytest.approx(difference)


def test_generated_samples_never_lower_the_test_nll() -> None:
    for mixture in (HIGH, LOW, Mixture(3, 4)):
        none = expect_test_nll(mixture, 0)
        found = [expect_test_nll(mixture, number) for number in range(1, 50 * mixture.real)]
        assert min(found) > none
        assert max(found[1::2]) == pytest.approx(expect_test_nll(mixture, mixture.real)), "γ = 1 is worst"
        odd = [expect_test_nll(mixture, number) for number in (11, 13)]
        assert all(abs(value - expect_test_nll(mixture, 12)) < 0.05 * mixture.dim for value in odd)


def test_the_floor_of_the_gap() -> None:
    values = [find_gap_floor(Mixture(*each)) for each in ((50, 10), (100, 10), (20, 10), (1, 40))]
    assert values == pytest.approx([1.519, 2.148, 0.961, 0.0937], abs=6e-4)


def test_an_odd_number_gives_the_first_class_one_more() -> None:
    assert [split_classes(number) for number in (0, 1, 6, 7)] == [(0, 0), (1, 0), (3, 3), (4, 3)]
