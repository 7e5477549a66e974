"""Scores of features without labels: alignment and uniformity, and how far views of different images are confused.

A study measures them of each network that learnt by contrast (`ops.study.label_free`), and shows whether they rank such
networks as labels do. All are of features of unit length, of `views` that several draws of an arm's augmentation made
of the same images. They say how a network sees its own views. A low alignment or a high uniformity alone says nothing
of a probe's accuracy, and scores under different augmentations are scores of different views.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

ROWS = 512  # of the matrix of squared distances, at once
TIE = 1e-12  # squared distances of unit vectors that differ by less are equal


def measure_alignment(views: Tensor, power: float = 2.0) -> float:
    """Mean distance, to this power, of two views of one image: 0, all the same, to 2^power (Wang and Isola 2020, §4.1).

    views: float [v, n, d], v ≥ 2 views of each of n images. Lower is better aligned. ValueError for fewer views.
    """
    unit = _normalise(views, "vnd")
    first, second = torch.combinations(torch.arange(len(unit), device=unit.device)).T
    return float((unit[first] - unit[second]).norm(dim=-1).pow(power).mean())


def measure_uniformity(features: Tensor, sharpness: float = 2.0) -> float:
    """Log of the mean of exp(-t·|x - y|²) over all pairs: at most 0, all the same (Wang and Isola 2020, §4.1).

    features: float [n, d] of n ≥ 2 different images, otherwise ValueError. sharpness: t > 0. Lower is more uniform:
    about -2t where many features of many dimensions are spread evenly. Two opposite ones have the least, -4t.
    """
    unit = _normalise(features, "nd")
    parts = []
    for start in range(0, len(unit) - 1, ROWS):
        squared = _square_distances(unit[start : start + ROWS], unit)
        later = torch.ones_like(squared, dtype=torch.bool).triu(start + 1)  # each pair once
        parts.append((-sharpness * squared[later]).logsumexp(dim=0))
    return float(torch.stack(parts).logsumexp(dim=0)) - math.log(len(unit) * (len(unit) - 1) / 2)


def measure_confusion(views: Tensor) -> float:
    """The augmentation confusion ratio (ACR): the share of views whose nearest neighbour is of another image, 0 to 1.

    Wang et al. 2022, *Chaos is a Ladder*, as in the authors' code, with two differences: every view looks for its
    neighbour, not the first one alone, and among all other views. Of equally near ones each counts for its share, so
    that features which are all the same score as chance does, 1 - (v - 1)/(vn - 1).

    views: float [v, n, d], v ≥ 2 views of each of n images, otherwise ValueError.
    """
    count, images = views.shape[:2]
    unit = _normalise(views, "vnd").flatten(end_dim=1)
    image = torch.arange(images, device=unit.device).repeat(count)
    confused = 0.0
    for start in range(0, len(unit), ROWS):
        squared = _square_distances(unit[start : start + ROWS], unit)
        squared.diagonal(start).fill_(math.inf)  # no view is its own neighbour
        nearest = squared <= squared.min(dim=1, keepdim=True).values + TIE
        other = nearest & (image != image[start : start + ROWS, None])
        confused += float((other.sum(dim=1) / nearest.sum(dim=1)).double().sum())
    return confused / len(unit)


def compare_confusion(initial: float, final: float) -> float:
    """The average relative confusion (ARC): (1 - final) / (1 - initial), of the ACR before and after a training.

    Above 1 the training made it likelier that a view lies nearest to another view of its image. ValueError where at
    the start none did.
    """
    if initial >= 1:
        raise ValueError("the initial confusion is 1, so nothing can be compared with it; allowed: below 1")
    return (1 - final) / (1 - initial)


def _normalise(features: Tensor, axes: str) -> Tensor:
    """Features of unit length, float64 of the same shape; zeros stay zeros. ValueError unless they have such axes, at
    least two along the first one, and are finite."""
    if features.ndim != len(axes) or len(features) < 2 or not features.isfinite().all():
        wanted = f"[{', '.join(axes)}] with {axes[0]} ≥ 2"
        raise ValueError(f"features have the shape {list(features.shape)}; allowed: finite ones, {wanted}")
    return F.normalize(features.double(), dim=-1)


def _square_distances(some: Tensor, unit: Tensor) -> Tensor:
    """Squared distances float64 [m, n] of rows."""
    lengths = some.square().sum(dim=1)[:, None] + unit.square().sum(dim=1)
    return (lengths - 2 * some @ unit.T).clamp_(min=0)
