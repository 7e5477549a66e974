"""Thresholds from held-out real images: a rule may reject at most a given share of them.

A score's threshold is a conformal quantile (Vovk et al. 2005; one for each class is their Mondrian kind). Of n scores
of held-out real images it is the k-th from the suspicious end, k = floor(share · (n + 1)). A further real image falls
beyond it with a probability of at most `share`, whatever the scores' distribution. Classes with too few held-out images
(k < MIN_RANK) take the threshold of all classes together. It knows scores and labels, no images.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

Side = Literal["below", "above"]

MIN_RANK = 5  # of a class's own threshold: a single odd image should not set it


@dataclass(frozen=True, eq=False)
class Thresholds:
    """A rule's threshold for each of K classes; an image strictly beyond its class's threshold is rejected.

    values: float64 [K]; NaN, which rejects nothing, where there are no images to calibrate with. pooled: bool [K],
    whether the threshold is that of all classes together. counts: int [K], held-out real images of the class.
    real_rejected: float64 [K], the share of them beyond the threshold, NaN for a class without any.
    """

    side: Side
    values: np.ndarray
    pooled: np.ndarray
    counts: np.ndarray
    real_rejected: np.ndarray

    def find_beyond(self, scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """bool [n] for scores float [n] of images with labels int [n]; False where the score is NaN."""
        return _find_beyond(scores, self.values[labels], self.side)


def calibrate(
    scores: np.ndarray,
    labels: np.ndarray,
    classes: int,
    share: float,
    side: Side,
    *,
    extreme: float | None = None,
    least: float | None = None,
) -> Thresholds:
    """The thresholds at which at most `share` of real images are rejected.

    With `extreme`, the worst possible value, thresholds are set halfway between the quantile and it, because images
    slightly fainter than all real ones are still acceptable. No threshold is below `least`, however many real images
    that rejects.

    scores: float [n] of held-out real images, NaN where unknown; labels: int [n] in 0 .. classes - 1. If even all
    classes together are too few for `share`, the most suspicious score is the threshold, and a further real image
    falls beyond it with a probability of up to 1 / (n + 1). With share 0 nothing is rejected.
    """
    known = ~np.isnan(scores)
    scores, labels = scores[known], labels[known]
    counts = np.bincount(labels, minlength=classes)
    ranks = np.floor(share * (counts + 1) + 1e-9).astype(int)
    pooled = (ranks < MIN_RANK) | (counts < MIN_RANK)
    overall = _cut(scores, max(1, int(share * (len(scores) + 1) + 1e-9)), side) if share > 0 else np.nan
    values = np.array(
        [
            overall if pooled[label] else _cut(scores[labels == label], int(ranks[label]), side)
            for label in range(classes)
        ]
    )
    if extreme is not None:
        values = (values + extreme) / 2
    if least is not None and share > 0:
        values = np.fmax(values, least)
    return _describe(scores, labels, values, pooled, counts, side)


def fix(scores: np.ndarray, labels: np.ndarray, classes: int, threshold: float, side: Side) -> Thresholds:
    """One threshold for all classes, with the share of held-out images that it rejects; arguments as `calibrate`."""
    known = ~np.isnan(scores)
    counts = np.bincount(labels[known], minlength=classes)
    values, pooled = np.full(classes, float(threshold)), np.zeros(classes, bool)
    return _describe(scores[known], labels[known], values, pooled, counts, side)


def _cut(scores: np.ndarray, rank: int, side: Side) -> float:
    """The score of this rank from the suspicious end, at most the last; NaN without scores."""
    if not len(scores):
        return float("nan")
    ordered, rank = np.sort(scores), min(rank, len(scores))
    return float(ordered[rank - 1] if side == "below" else ordered[-rank])


def _describe(
    scores: np.ndarray, labels: np.ndarray, values: np.ndarray, pooled: np.ndarray, counts: np.ndarray, side: Side
) -> Thresholds:
    beyond = np.bincount(labels, weights=_find_beyond(scores, values[labels], side), minlength=len(values))
    shares = np.divide(beyond, counts, out=np.full(len(values), np.nan), where=counts > 0)
    return Thresholds(side, values, pooled, counts, shares)


def _find_beyond(scores: np.ndarray, values: np.ndarray, side: Side) -> np.ndarray:
    found: np.ndarray = scores < values if side == "below" else scores > values
    return found
