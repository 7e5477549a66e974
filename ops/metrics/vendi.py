"""The Vendi score: how many different images a set is worth.

Between 1 (all alike) and the number of images (none has anything in common with another): the exponential of the
entropy of the similarity matrix's eigenvalues (Friedman & Dieng 2023, eq. 3). It looks at one set alone: noise scores
high, so read it beside the real images' score. It grows with the number of images until all kinds are there:
compare values of equal counts. This module knows nothing of images, networks or labels.
"""

from __future__ import annotations

import numpy as np
import torch

from ops.metrics.distances import to_points
from ops.statistics.intervals import Estimate


def estimate_vendi(features: np.ndarray) -> Estimate:
    """The score of features [n, d] by their cosines, with each image's pull.

    The eigenvalues are those of K / n, K being the cosines [n, n]; the d x d matrix of the normalised features has the
    same ones and serves where it is smaller. Features that are all 0 have no direction: they count as
    like each other and unlike the rest. ValueError for no features, another shape or values that are not finite.
    """
    points = to_points(features)
    if not len(points):
        raise ValueError("there are no features; a Vendi score needs at least 1")
    # The largest value first, so that squares neither overflow nor vanish.
    largest = points.abs().amax(dim=1, keepdim=True) if points.shape[1] else torch.zeros(len(points), 1).double()
    blank = largest[:, 0] == 0
    scaled = points / torch.where(blank[:, None], 1, largest)
    rows = scaled / torch.where(blank, 1, scaled.norm(dim=1))[:, None]
    count = len(rows)
    wide = rows.shape[1] > count
    gram = rows @ rows.T if wide else rows.T @ rows
    values, vectors = torch.linalg.eigh(gram / count)
    noise = count * torch.finfo(torch.float64).eps
    used = values > noise
    values, vectors = values[used], vectors[:, used]
    # Squared projections of each row on the eigenvectors of the d x d matrix.
    shares = count * values * vectors.square() if wide else (rows @ vectors).square()
    surprise = -(shares @ values.log())
    if blank.any():
        surprise[blank] = -float(blank.double().mean().log())
    entropy = float(surprise.mean())
    score = float(np.clip(np.exp(entropy), 1, count))
    return Estimate(score, (score * (surprise - entropy).numpy(),))
