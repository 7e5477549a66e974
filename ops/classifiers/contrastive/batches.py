"""Batches with exact counts of real and generated images, by drawing and never by copying.

Real and generated images are passed through apart, each in a new order for every pass. A batch takes so many of each
that the share of real images up to any step is within one image of what it should be. So an image comes twice in a
batch only where one pass ends and the next begins, or where a batch has more places than there are images. The module
knows rows, no pixels and no labels.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import numpy as np

from ops.classifiers.sampling import weighted_pass

STREAM = 7  # separates the order of images from what else follows from the seed


def count_real(share: float, batch_size: int, step: int) -> int:
    """Real images of a batch: those up to and with this step, counted from 0, less those before it.

    >>> [count_real(1 / 3, 256, step) for step in range(3)]
    [85, 85, 86]
    """
    exact = Fraction(repr(share)) * batch_size
    return round_half_up((step + 1) * exact) - round_half_up(step * exact)


def round_half_up(number: Fraction) -> int:
    """The nearest whole number."""
    return int(number + Fraction(1, 2))


def iterate_exactly(
    weights: np.ndarray, marks: np.ndarray, batch_size: int, steps: int, seed: int
) -> Iterator[np.ndarray]:
    """`steps` batches of `batch_size` rows int64, real ones first.

    weights : float64 [n], above 0. The share of real images is that of their weights; among real images, and among
    generated ones, rows are shown in proportion to theirs. marks : bool [n], of generated images.
    """
    share = find_share(weights, marks)
    parts = [np.flatnonzero(marks == mark) for mark in (False, True)]
    queues = [_pass_through(rows, weights[rows], np.random.default_rng([seed, STREAM, place]))
              for place, rows in enumerate(parts)]  # fmt: skip
    for step in range(steps):
        real = count_real(share, batch_size, step)
        counts = (real, batch_size - real)
        yield np.array([next(queue) for queue, count in zip(queues, counts, strict=True) for _ in range(count)])


def find_share(weights: np.ndarray, marks: np.ndarray) -> float:
    """β: the share of real images in what is shown, from weights float64 [n] and marks bool [n] of generated images."""
    return 1.0 if not marks.any() else float(weights[~marks].sum() / weights.sum())


def _pass_through(rows: np.ndarray, weights: np.ndarray, rng: np.random.Generator) -> Iterator[int]:
    """Rows without end, pass after pass; in a pass each row once, or less often where it weighs less than others."""
    while len(rows):
        yield from rows[weighted_pass(weights / weights.max(), rng)].tolist()
