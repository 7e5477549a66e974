"""The published simulation of the Gaussian mixture as a plain loop: repeat by repeat, every coordinate drawn.

The other side of the benchmark `theory` and of its tests. It is written from the protocol of Zheng et al. 2023 and
shares nothing with `ops.theory`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

SIGMA, TEST = 0.6, 10_000

Floats = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]


def repeat_plainly(dim: int, real: int, gammas: Sequence[float], *, repeats: int, seed: int, new: int = TEST) -> Floats:
    """Of each repeat and γ: NLL and error on the augmented training set, then on `new` samples, [repeats, γ, 4]."""
    rng = np.random.default_rng(seed)
    found = np.empty((repeats, len(gammas), 4))
    for repeat in range(repeats):
        centres = np.outer([-1.0, 1.0], np.full(dim, dim**-0.5))
        train, labels = draw(rng, real, centres, np.full(dim, SIGMA))
        test, test_labels = draw(rng, new, centres, np.full(dim, SIGMA))
        fitted = np.stack([train[labels == label].mean(axis=0) for label in (0, 1)])
        spread = np.mean([train[labels == label].var(axis=0, ddof=1) for label in (0, 1)], axis=0) ** 0.5
        for place, gamma in enumerate(gammas):
            more, more_labels = draw(rng, int(gamma * real), fitted, spread)
            samples, signs = np.concatenate([train, more]), 2 * np.concatenate([labels, more_labels]) - 1
            theta = (signs[:, None] * samples).mean(axis=0)
            found[repeat, place] = [*lose(theta, samples, signs), *lose(theta, test, 2 * test_labels - 1)]
    return found


def draw(rng: np.random.Generator, count: int, centres: Floats, spread: Floats) -> tuple[Floats, Labels]:
    """Samples [count, d] around the centres [2, d], and their labels; of an odd number label 0 has one more."""
    labels = np.repeat([0, 1], [count - count // 2, count // 2])
    return centres[labels] + spread * rng.standard_normal((count, centres.shape[1])), labels


def lose(theta: Floats, samples: Floats, signs: Labels) -> tuple[float, float]:
    """NLL with the true σ, and the share of errors."""
    nll = np.square(samples - signs[:, None] * theta).sum(axis=1).mean() / (2 * SIGMA**2)
    return float(nll), float(np.mean((samples @ theta >= 0) != (signs > 0)))
