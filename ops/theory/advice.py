"""Advice that follows from the bound, in sentences, with all that limits it.

It rests on an upper bound of the gap and says so each time. It measures nothing and promises nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from ops.theory.bound import Premises, bound_gap, find_efficient_number
from ops.theory.conditions import MARGIN, Rate, compare_rates
from ops.theory.mixture import Mixture, find_gap_floor, state_premises

Answer = Literal["may help", "no help", "undecided"]

ANSWERS: dict[Rate, Answer] = {"faster": "may help", "not faster": "no help", "undecided": "undecided"}
FEW = 30  # real samples, below which a statement on growing numbers is far away
UPPER_BOUND = (
    "This advice rests on an upper bound whose constants are left out: where the bound falls, the gap need not fall."
)
RISK = (
    "The gap is not the risk: it also falls when the training loss rises, so only the loss on new real samples counts,"
    " and only held-back real images show whether generated ones help."
)
UNBOUNDED = "The mixture's loss has no largest value; M = d + log m holds with high probability only."


@dataclass(frozen=True)
class Advice:
    """efficient: the most efficient number of generated samples, None without a divergence. sentences give the reasons
    of the answer, warnings what limits it."""

    answer: Answer
    efficient: int | None
    sentences: list[str]
    warnings: list[str]


def advise(given: Premises, generated: int | None = None) -> Advice:
    """Whether generated samples can help under these premises, and how many."""
    compared, efficient = compare_rates(given), find_efficient_number(given)
    answer = ANSWERS[compared.rate]
    reason = {
        "faster": f"below it by more than {MARGIN:g}, so the condition for help holds",
        "not faster": f"{MARGIN:g} times it or more, so the condition for no help holds",
        "undecided": f"within {MARGIN:g} times of it, where the conditions decide nothing",
    }[compared.rate]
    sentences = [
        f"{answer}: the divergence M·TV is {compared.divergence:.3g}, and what more real samples would still gain,"
        f" max(β log m, M/√m) and at most M, is {compared.gain:.3g}; the first is {compared.ratio:.2g} times the"
        f" second: {reason}.",
        _tell_numbers(given, efficient),
    ]
    limits = [*_list_vacuous(given, efficient, generated), *_list_limits(given, answer)]
    return Advice(answer, efficient, sentences, [UPPER_BOUND, *limits, RISK])


def advise_mixture(mixture: Mixture) -> Advice:
    """The same for the Gaussian mixture, whose true test risk is known."""
    found = advise(state_premises(mixture))
    return replace(found, warnings=[*found.warnings, UNBOUNDED, *describe_truth(mixture)])


def describe_truth(mixture: Mixture) -> list[str]:
    """What the closed forms say of the mixture, whatever the bound does."""
    return [
        "In this mixture generated samples never lower the expected test NLL: they tell θ nothing that the real samples"
        " did not, and bring the generator's noise.",
        f"With more and more generated samples the mean gap ends at about {find_gap_floor(mixture):.3g}, the noise of"
        " single repeats.",
    ]


def _tell_numbers(given: Premises, efficient: int | None) -> str:
    none = bound_gap(given, 0).total
    if efficient is None:
        return (
            f"Without a divergence no number of generated samples is the most efficient: the bound, {none:.3g} without"
            " them, goes to 0."
        )
    return (
        f"The most efficient number of generated samples is of the order of {_round(efficient)}"
        f" ({_round(efficient / given.real)} for each real one): the bound, {none:.3g} without them, is"
        f" {bound_gap(given, efficient).total:.3g} there and goes to {given.loss_range * given.divergence:.3g} with"
        " more and more."
    )


def _round(number: float) -> str:
    """Two digits: `36,000`, `0.25`."""
    return f"{float(f'{number:.2g}'):,.12g}"


def _list_vacuous(given: Premises, efficient: int | None, generated: int | None) -> list[str]:
    """A sentence where the bound is no less than the largest loss, with one of these numbers of generated samples."""
    numbers = {"the most efficient number": efficient, "the given number": generated}
    where = [
        f"with {name}"
        for name, number in numbers.items()
        if number is not None and bound_gap(given, number).total >= given.loss_range
    ]
    if not where:
        return []
    return [
        f"{' and '.join(where).capitalize()} of generated samples the bound is not below {given.loss_range:.3g}, the"
        " largest loss: of the gap itself it says nothing, and only the order of its terms can be read."
    ]


def _list_limits(given: Premises, answer: Answer) -> list[str]:
    """What is amiss with these premises."""
    found = []
    if given.divergence >= 1:
        found.append("A divergence of 1 is the largest there is: nothing is assumed to be known of the generator.")
    if given.generator(1) >= 1:
        found.append("A generator's stability of 1 is the worst there is: it assumes that each real sample matters.")
    if given.real < FEW:
        found.append(f"The conditions are about growing numbers of real samples, and {given.real} are few.")
    if answer == "may help":
        found.append(
            "Help needs a divergence that is small in truth: a classifier that fails to tell real from generated"
            " samples shows no more than that it is not large in what this classifier sees."
        )
    return found
