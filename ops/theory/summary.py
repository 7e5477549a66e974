"""A simulation summed up beside its closed forms and bounds: one list for each figure, an entry for each γ."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ops.errors import UserError
from ops.machine.progress import Sink, ignore
from ops.theory.advice import advise_mixture
from ops.theory.mixture import (
    Mixture,
    correct_bound,
    expect_nll_difference,
    expect_test_nll,
    publish_bound,
)
from ops.theory.simulation import Floats, simulate


@dataclass(frozen=True)
class Summary:
    """Means over the repeats, with standard errors (se). NLL and bounds in nats, errors as shares in 0..1.

    gamma: generated samples for each real one. nll_gap, zero_one_gap: the size of the difference between training and
    test loss of a repeat. expected_nll_difference: with its sign, test less training.
    """

    gamma: list[float]
    generated: list[int]
    nll_gap: list[float]
    nll_gap_se: list[float]
    zero_one_gap: list[float]
    zero_one_gap_se: list[float]
    test_nll: list[float]
    test_nll_se: list[float]
    test_error: list[float]
    test_error_se: list[float]
    expected_test_nll: list[float]
    expected_nll_difference: list[float]
    bound: list[float]
    bound_terms: list[dict[str, float]]
    published_bound: list[float]
    advice: list[str]
    warnings: list[str]


def count_generated(gamma: float, real: int) -> int:
    """Generated samples at γ; UserError where there would be none, though γ is not 0."""
    generated = round(gamma * real)
    if gamma > 0 and generated == 0:
        raise UserError(
            f"γ {gamma:g} of {real} real samples is no generated one; allowed: 0, or at least {1 / real:.2g}"
        )
    return generated


def sum_up(mixture: Mixture, gamma: Sequence[float], *, repeats: int, seed: int, sink: Sink = ignore) -> Summary:
    """Simulate at each γ; repeats: at least 2. UserError where γ generates nothing, or too much for the memory."""
    generated = [count_generated(each, mixture.real) for each in gamma]
    found = simulate(mixture, generated, repeats=repeats, seed=seed, sink=sink)
    nll_gap, zero_one_gap = np.abs(found.nll_difference), np.abs(found.error_difference)
    bounds, advice = [correct_bound(mixture, number) for number in generated], advise_mixture(mixture)
    return Summary(
        gamma=list(gamma),
        generated=generated,
        nll_gap=_average(nll_gap),
        nll_gap_se=_find_errors(nll_gap),
        zero_one_gap=_average(zero_one_gap),
        zero_one_gap_se=_find_errors(zero_one_gap),
        test_nll=_average(found.test_nll),
        test_nll_se=_find_errors(found.test_nll),
        test_error=_average(found.test_error),
        test_error_se=_find_errors(found.test_error),
        expected_test_nll=[expect_test_nll(mixture, number) for number in generated],
        expected_nll_difference=[expect_nll_difference(mixture, number) for number in generated],
        bound=[bound.total for bound in bounds],
        bound_terms=[bound.terms() for bound in bounds],
        published_bound=[publish_bound(mixture, number).total for number in generated],
        advice=advice.sentences,
        warnings=advice.warnings,
    )


def _average(values: Floats) -> list[float]:
    """Of each row."""
    return [float(value) for value in values.mean(axis=1)]


def _find_errors(values: Floats) -> list[float]:
    """Standard errors of the rows' means."""
    return [float(value) / math.sqrt(values.shape[1]) for value in values.std(axis=1, ddof=1)]
