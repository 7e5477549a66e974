"""The binary Gaussian mixture of the theory: what its bound rests on, as published and corrected, and closed forms.

Labels y are -1 or +1, and x given y is normal around y·μ with |μ| = 1 and deviation σ in each of d dimensions. The
classifier is the sign of θ·x, where θ is the mean of y·x over the training set; its loss is |x - y·θ|² / (2σ²). The
generator has the mean of each class and one deviation for each dimension, both estimated from the real samples.

The orders of theorem 3.2 are those of the authors' notebook; the theorem's exact statement was not obtainable. The
closed forms are our own.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from ops.theory.bound import Bound, Premises, bound_gap

SIGMA = 0.6  # the only value that the authors use


@dataclass(frozen=True)
class Mixture:
    """dim: d, at least 1. real: m, the real samples; even, half of each class, at least 4. sigma: σ > 0."""

    dim: int
    real: int
    sigma: float = SIGMA


def split_classes(generated: int) -> tuple[int, int]:
    """Generated samples of each class; of an odd number the first has one more, as with scikit-learn's make_blobs."""
    return generated - generated // 2, generated // 2


def state_premises(mixture: Mixture) -> Premises:
    """The corrected orders: M = d + log m, β_n = M / n, TV = √(d·max(1, log d) / m), 𝒯 = √(γd / m)·log(md).

    TV and 𝒯 are distances of distributions, so they are at most 1. The published log d is 0 at one dimension, where the
    means still differ by about 1/√m; so a logarithm below 1 counts as 1.
    """
    dim, real = mixture.dim, mixture.real
    largest = dim + math.log(real)

    def change(generated: int) -> float:
        return min(1.0, math.sqrt(generated * dim) / real * math.log(real * dim))

    divergence = min(1.0, math.sqrt(dim * max(1.0, math.log(dim)) / real))
    return Premises(real, loss_range=largest, learner=largest, divergence=divergence, generator=change)


def correct_bound(mixture: Mixture, generated: int) -> Bound:
    """The bound as the theorem states it: 𝒯 is 0 where nothing is generated, and n log n counts in full."""
    return bound_gap(state_premises(mixture), generated)


def publish_bound(mixture: Mixture, generated: int) -> Bound:
    """The bound as the authors' notebook computes it, for comparison.

    It differs in four places: above two dimensions TV and 𝒯 are 1, 𝒯 even where nothing is generated; below, they have
    no upper limit; at one dimension TV is 0; and log n is counted once for each real, not for each generated sample.
    """
    dim, real, total = mixture.dim, mixture.real, mixture.real + generated
    largest, gamma = dim + math.log(real), generated / real
    divergence = 1.0 if dim > 2 else math.sqrt(dim * math.log(dim) / real)
    change = 1.0 if dim > 2 else math.sqrt(gamma * dim / real) * math.log(real * dim)
    beta, logs = largest / total, math.log(real) + (math.log(generated) if generated else 0.0)
    return Bound(
        divergence=generated / total * largest * divergence,
        sampling=largest * (math.sqrt(real) + math.sqrt(generated)) / total,
        learner_change=real * math.sqrt(generated) * beta / total,
        learner_stability=beta * real * logs / total,
        generator_stability=real * math.log(real) * largest * change / total,
    )


def expect_test_nll(mixture: Mixture, generated: int) -> float:
    """The expected loss on new real samples: d/2 · [1 + 1/m + γ / (m (1 + γ)²)] for an even number of generated ones.

    It is least without generated samples, for any number of them.
    """
    return mixture.dim / 2 * (1 + _spread(mixture, generated))


def expect_nll_difference(mixture: Mixture, generated: int) -> float:
    """The expected loss on new samples less that on the training set: d/m · (2γ + 1) / (1 + γ)² for an even number."""
    real, total = mixture.real, mixture.real + generated
    return mixture.dim * (_spread(mixture, generated) - generated / (real * total))


def find_gap_floor(mixture: Mixture) -> float:
    """The mean gap that stays however much is generated, by the normal approximation: √(2/π)·√(d/(2(m-2)) + d/m²).

    It is the noise of single repeats, which an absolute value turns into a gap.
    """
    dim, real = mixture.dim, mixture.real
    return math.sqrt(2 / math.pi * (dim / (2 * (real - 2)) + dim / real**2))


def _spread(mixture: Mixture, generated: int) -> float:
    """The variance of a coordinate of θ, in σ²: of the two class means, then of the generator's noise."""
    real, total = mixture.real, mixture.real + generated
    means = sum((real / 2 + each) ** 2 for each in split_classes(generated)) / total**2
    return 2 / real * means + generated / total**2
