"""The conditions on both sides of their threshold, and advice that names what it rests on and what is amiss."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from ops.theory.advice import RISK, UPPER_BOUND, advise, advise_mixture
from ops.theory.bound import Premises, bound_gap
from ops.theory.conditions import MARGIN, compare_rates
from ops.theory.mixture import Mixture, state_premises

PREMISES = Premises(10_000, 2.0, 2.0, 0.0, lambda _: 0.001)  # max(β log m, M/√m) is 2/100


@pytest.mark.parametrize(
    ("divergence", "rate", "answer"),
    [
        (0.0099 / MARGIN, "faster", "may help"),
        (0.0101 / MARGIN, "undecided", "undecided"),
        (0.01, "undecided", "undecided"),
        (0.0099 * MARGIN, "undecided", "undecided"),
        (0.0101 * MARGIN, "not faster", "no help"),
    ],
)
def test_conditions_decide_outside_of_a_margin(divergence: float, rate: str, answer: str) -> None:
    given = replace(PREMISES, divergence=divergence)
    compared = compare_rates(given)
    assert compared.ratio == pytest.approx(divergence / 0.01) and compared.rate == rate
    advice = advise(given)
    assert advice.answer == answer and advice.sentences[0].startswith(f"{answer}: ")


def test_the_gain_of_more_real_samples_is_the_larger_of_its_two_terms() -> None:
    assert compare_rates(PREMISES).gain == pytest.approx(2 / 100)
    unstable = replace(PREMISES, learner=100.0)
    assert compare_rates(unstable).gain == pytest.approx(100 / 10_000 * math.log(10_000))


def test_nothing_more_than_the_largest_loss_can_be_gained() -> None:
    """A generator whose images are never real ones does not help a learner of which nothing is known."""
    unstable = replace(PREMISES, learner=1e6, divergence=1.0)
    assert compare_rates(unstable).gain == PREMISES.loss_range
    assert advise(unstable).answer == "undecided"


def test_a_bound_above_the_largest_loss_is_told_of_the_number_that_was_asked_for() -> None:
    given = replace(PREMISES, real=100, loss_range=1.0, learner=1.0, divergence=0.01, generator=lambda _: 1.0)
    assert bound_gap(given, 1).total > 1
    assert any("with the given number of generated" in each.lower() for each in advise(given, 1).warnings)
    assert not any("the given number" in each for each in advise(given).warnings)


def test_in_the_mixture_enough_real_samples_leave_no_help() -> None:
    """Its divergence falls as 1/√m too, so the ratio goes to √(d log d) and not to 0."""
    for dim in (6, 50):
        ratio = compare_rates(state_premises(Mixture(dim, 10**6))).ratio
        assert ratio == pytest.approx(math.sqrt(dim * math.log(dim)))
        assert advise_mixture(Mixture(dim, 10**6)).answer == "no help"


def test_advice_says_that_it_rests_on_an_upper_bound_and_that_the_risk_counts() -> None:
    for given in (PREMISES, replace(PREMISES, divergence=1.0)):
        assert advise(given).warnings[0] == UPPER_BOUND and RISK in advise(given).warnings
    warnings = advise_mixture(Mixture(50, 10)).warnings
    assert UPPER_BOUND in warnings and RISK in warnings
    assert any("never lower the expected test NLL" in warning for warning in warnings)
    assert any("about 1.52" in warning for warning in warnings)


def test_each_limit_of_the_premises_is_a_warning() -> None:
    def warns(words: str, given: Premises) -> bool:
        return any(words in warning for warning in advise(given).warnings)

    sound = replace(PREMISES, divergence=0.01)
    for words, changes in {
        "not below 2, the largest loss": {"divergence": 0.9, "generator": lambda _: 0.9},
        "divergence of 1": {"divergence": 1.0},
        "stability of 1": {"generator": lambda _: 1.0},
        "are few": {"real": 29},
        "small in truth": {"divergence": 0.001},
    }.items():
        assert not warns(words, sound), words
        assert warns(words, replace(sound, **changes)), words


def test_numbers_of_generated_samples_are_told() -> None:
    near = advise(replace(PREMISES, divergence=0.001))
    assert near.efficient is not None and "most efficient number" in near.sentences[1]
    assert "and goes to 0.002 with more and more" in near.sentences[1]
    none = advise(PREMISES)
    assert none.efficient is None and none.sentences[1].startswith("Without a divergence")
