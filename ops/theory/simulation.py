"""The published simulation of the mixture: the gap and the test risk over many repeats, drawn at once.

Each repeat draws real samples (as many of each class), fits the generator, and for each number of generated samples a
new generated set; θ is learnt from both, and judged on TEST new samples. The loss knows σ, and the generator estimates
it, as in the authors' code.

A sample is held as y·x, which lies around μ whatever its class; the loss and the error depend on nothing else. Of what
is generated and tested, sums, sums of squares and projections on θ are drawn instead of all coordinates: sums of normal
variables are normal, squares around a mean follow a χ² law, and given its sum a projection is normal again. So each
printed number has exactly the law of the plain loop. Only how the two losses of one repeat go together is not
reproduced: given θ they are drawn independently.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr

from ops.errors import UserError
from ops.machine.progress import Progress, Sink, ignore
from ops.theory.mixture import Mixture, split_classes

Floats = npt.NDArray[np.float64]

TEST = 10_000  # new samples of a repeat
CHUNK = 500_000  # numbers that are drawn at once, where a repeat needs no more
MOST = 20_000_000  # numbers of one repeat


@dataclass(frozen=True, eq=False)
class Simulation:
    """What all repeats gave, float64 [numbers of generated samples, repeats]; NLL in nats, errors as shares.

    The differences are the loss on new samples less the loss on the augmented training set; their size is the gap.
    """

    nll_difference: Floats
    error_difference: Floats
    test_nll: Floats
    test_error: Floats


@dataclass(frozen=True, eq=False)
class _Real:
    """Some repeats' real samples [r, m, d], the means of both classes [r, 2, d], the generator's deviations [r, d]."""

    samples: Floats
    means: Floats
    deviations: Floats


def simulate(mixture: Mixture, generated: Sequence[int], *, repeats: int, seed: int, sink: Sink = ignore) -> Simulation:
    """Draw all repeats. Real samples, and the test samples of the NLL, are the same for each number of generated ones.

    A number's results depend on mixture, seed and itself alone; more repeats continue fewer. UserError where one repeat
    would need more than MOST numbers.
    """
    size = mixture.real * mixture.dim + max(generated, default=0)
    if size > MOST:
        raise UserError(
            f"one repeat would need {size:,} random numbers, of which {MOST:,} are allowed;"
            " take fewer dimensions, real samples or generated samples"
        )
    draws = _Draws(mixture, generated, seed)
    found, chunk = np.empty((4, len(generated), repeats)), max(1, CHUNK // size)
    progress = Progress(sink, "simulation", repeats, "repeats")
    for start in range(0, repeats, chunk):
        end = min(start + chunk, repeats)
        found[:, :, start:end] = draws.repeat(end - start)
        progress.update(end)
    return Simulation(*found)


class _Draws:
    """The streams of random numbers, one for each purpose, so that chunks of any length draw the same repeats."""

    def __init__(self, mixture: Mixture, generated: Sequence[int], seed: int) -> None:
        self.mixture, self.generated = mixture, generated
        self.centre = np.full(mixture.dim, 1 / math.sqrt(mixture.dim))
        self.of_real, self.of_test, self.of_test_squares = (np.random.default_rng([seed, use]) for use in range(3))
        self.of_generated = [
            [np.random.default_rng([seed, use, number]) for use in range(3, 8)] for number in generated
        ]

    def repeat(self, count: int) -> Floats:
        """Both differences, test NLL and test error of so many repeats, [4, numbers, count]."""
        dim, sigma = self.mixture.dim, self.mixture.sigma
        noise = self.of_real.standard_normal((count, self.mixture.real, dim))
        real = _fit(self.centre + sigma * noise)
        test_mean = self.centre + sigma / math.sqrt(TEST) * self.of_test.standard_normal((count, dim))
        test_squares = sigma**2 * self.of_test_squares.chisquare((TEST - 1) * dim, count)
        found = np.empty((4, len(self.generated), count))
        for number, (generated, streams) in enumerate(zip(self.generated, self.of_generated, strict=True)):
            theta, train_nll, train_error = _learn(real, generated, sigma, streams)
            test_nll = (test_squares / TEST + _square(test_mean - theta)) / (2 * sigma**2)
            wrong = ndtr(-(theta @ self.centre) / (sigma * np.sqrt(_square(theta))))
            test_error = streams[-1].binomial(TEST, wrong) / TEST
            found[:, number] = test_nll - train_nll, test_error - train_error, test_nll, test_error
        return found


def _fit(samples: Floats) -> _Real:
    """The generator: means of the classes, which take a half of the samples each, and pooled deviations."""
    count, real, dim = samples.shape
    halves = samples.reshape(count, 2, real // 2, dim)
    means = halves.mean(axis=2)
    squares = np.square(halves - means[:, :, None]).sum(axis=(1, 2))
    return _Real(samples, means, np.sqrt(squares / (real - 2)))


def _learn(
    real: _Real, generated: int, sigma: float, streams: Sequence[np.random.Generator]
) -> tuple[Floats, Floats, Floats]:
    """θ [r, d], and the NLL and the error on the training set, each [r].

    θ is the mean of the training set, so the mean of |z - θ|² is the mean of |z|² less |θ|².
    """
    of_sums, of_squares, *of_projections, _ = streams
    repeats, size, dim = real.samples.shape
    counts = np.array(split_classes(generated))
    # The mean noise of each class, in deviations; 0 for a class of which nothing is generated.
    noise = of_sums.standard_normal((repeats, 2, dim)) / np.sqrt(np.maximum(counts, 1))[:, None] * (counts > 0)[:, None]
    centres = real.means + real.deviations[:, None] * noise
    theta = (size * real.means.mean(axis=1) + np.einsum("c,rcd->rd", counts, centres)) / (size + generated)
    squares = np.square(real.samples).sum(axis=(1, 2)) + np.einsum("c,rcd->r", counts, np.square(centres))
    if (freedom := generated - np.count_nonzero(counts)) > 0:
        squares += (np.square(real.deviations) * of_squares.chisquare(freedom, (repeats, dim))).sum(axis=1)
    wrong = np.count_nonzero(np.einsum("rmd,rd->rm", real.samples, theta) < 0, axis=1)
    length = np.sqrt(_square(real.deviations * theta))
    for place, (count, stream) in enumerate(zip(counts, of_projections, strict=True)):
        if count:
            along = stream.standard_normal((repeats, count))
            along -= along.mean(axis=1, keepdims=True)
            middle = np.einsum("rd,rd->r", centres[:, place], theta)
            wrong = wrong + np.count_nonzero(along < -(middle / length)[:, None], axis=1)
    nll = (squares / (size + generated) - _square(theta)) / (2 * sigma**2)
    return theta, nll, wrong / (size + generated)


def _square(vectors: Floats) -> Floats:
    """Squared lengths of vectors [..., d]."""
    return np.asarray(np.square(vectors).sum(axis=-1))
