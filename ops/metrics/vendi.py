"""The Vendi score: the diversity of a set, as an effective number of different images.

It lies between 1 (all equal) and the number of images (all completely different): the exponential of the entropy of
the similarity matrix's eigenvalues (Friedman & Dieng 2023, eq. 3). It measures one set alone, and noise scores high, so
read it beside the real images' score. It grows with the number of images until all kinds are present: compare values of
equal counts. This module knows nothing of images, networks or labels.
"""

from __future__ import annotations

import numpy as np
import torch

from ops.metrics.distances import to_points
from ops.statistics.intervals import Estimate


def estimate_vendi(features: np.ndarray) -> Estimate:
    """The score of features [n, d] by their cosine similarity, with each image's influence.

    The eigenvalues are those of K / n, where K are the cosines [n, n]. The d x d matrix of the normalised features has
    the same nonzero ones and is used where it is smaller. Rows that are all 0 have no direction: they count as equal to
    each other and different from the rest. ValueError for no features, another shape or values that are not finite.
    """
    points = to_points(features)
    if not len(points):
        raise ValueError("there are no features; a Vendi score needs at least 1")
    # Divide by the largest value first, so that squares neither overflow nor underflow.
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
    # Squared projections of each row on the eigenvectors of the d x d matrix; they weight -log(eigenvalue).
    shares = count * values * vectors.square() if wide else (rows @ vectors).square()
    surprise = -(shares @ values.log())
    if blank.any():
        surprise[blank] = -float(blank.double().mean().log())
    entropy = float(surprise.mean())
    score = float(np.clip(np.exp(entropy), 1, count))
    return Estimate(score, (score * (surprise - entropy).numpy(),))
