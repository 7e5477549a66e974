"""The stability bound of generative data augmentation, term by term, and the most efficient number of samples.

Zheng et al. 2023, *Toward Understanding Generative Data Augmentation*, theorem 3.1, in the form in which the authors'
published notebook computes it: constants, and the factors that the confidence brings, are left out. So a number here is
an order of size. It bounds the gap between the loss on the augmented training set and the loss on new real data. It
knows nothing of the loss itself, which may rise while the gap falls.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, fields

TINY = 1e-12  # a divergence below it is none


@dataclass(frozen=True)
class Premises:
    """What the bound rests on.

    real: m, the real samples, at least 2. loss_range: M, the largest loss. learner: B, where replacing one of n
    training samples changes the loss anywhere by at most β_n = B / n. divergence: TV(D, D_G), the total variation
    distance of real and generated distribution, 0 to 1. generator: 𝒯 of a number of generated samples, at least 1; the
    total variation distance, at most, of all of them from those of a generator that did not see one real sample.
    """

    real: int
    loss_range: float
    learner: float
    divergence: float
    generator: Callable[[int], float]


@dataclass(frozen=True)
class Bound:
    """The five terms of theorem 3.1, in units of the loss; m real, n generated, t = m + n samples.

    divergence: n/t · M · TV. sampling: M (√m + √n) / t. learner_change: m √n β_t / t.
    learner_stability: β_t (m log m + n log n) / t. generator_stability: m log m · M · 𝒯 / t.
    """

    divergence: float
    sampling: float
    learner_change: float
    learner_stability: float
    generator_stability: float

    @property
    def total(self) -> float:
        return sum(self.terms().values())

    @property
    def generalization(self) -> float:
        """All but the divergence: the gap to the mixture of real and generated distribution."""
        return self.total - self.divergence

    def terms(self) -> dict[str, float]:
        """Each term by its name, in the order above."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


def bound_gap(given: Premises, generated: int) -> Bound:
    """The bound with so many generated samples; without any, divergence and the generator's stability are 0."""
    real, total = given.real, given.real + generated
    beta = given.learner / total
    return Bound(
        divergence=generated / total * given.loss_range * given.divergence,
        sampling=given.loss_range * (math.sqrt(real) + math.sqrt(generated)) / total,
        learner_change=real * math.sqrt(generated) * beta / total,
        learner_stability=beta * (_times_log(real) + _times_log(generated)) / total,
        generator_stability=_times_log(real) * given.loss_range * _change(given, generated) / total,
    )


def find_efficient_number(given: Premises) -> int | None:
    """The most efficient number of generated samples: the least n whose generalization term is at most its divergence.

    More of them improve the order of the bound no further, because the divergence stays. None where real and generated
    distribution differ by less than TINY: then more are always better. The ratio of generalization to divergence falls
    with n if 𝒯 / n does not rise, as in the mixture and for a constant 𝒯; so the least n is found by halving.
    """
    if given.divergence < TINY:
        return None
    low, high = 0, 1
    while not _is_efficient(given, high):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _is_efficient(given, middle) else (middle, high)
    return high


def _is_efficient(given: Premises, generated: int) -> bool:
    found = bound_gap(given, generated)
    return found.generalization <= found.divergence


def _change(given: Premises, generated: int) -> float:
    return given.generator(generated) if generated else 0.0


def _times_log(count: int) -> float:
    return count * math.log(count) if count else 0.0
