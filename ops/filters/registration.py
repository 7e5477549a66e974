"""How far apart two small pictures are once one has been laid on the other: turned, scaled, moved and bent a little.

Pairs are aligned by a few Gauss-Newton steps (Lucas and Kanade 1981; the mean of both pictures' gradients as Benhimane
and Malis 2004 have it). The displacement of a place is a quadratic polynomial of it, drawn towards where the pair was
found: what a person would call the same picture lies within reach, another picture does not. Levels may differ by a
tone curve, a quadratic polynomial too. What no displacement explains counts less the worse it fits, so that something
laid over a small part of a picture does not make it another one.

Symbols: p pairs, x a place of the reference, y(x) = x + sum_j theta_j B_j(x) where it is found in the query, W(x) the
query's level there, r(x) the reference's, m(x) the weight. It knows nothing of signatures, labels or thresholds.
"""

from __future__ import annotations

import math
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

UNRELATED = math.sqrt(2)  # the distance of pictures that correlate in nothing
FLAT = 1e-4  # below this contrast (of pixels in 0..1) a picture has none: a fortieth of a grey level
STEPS = 3
REACH = 0.04  # standard deviation of each displacement, in sides of the picture
NOISE = 0.3  # residual per pixel, in contrasts, against which the displacement is weighed
OUTLYING = 2.0  # residuals of so many times the usual one count half


def measure_registered(query: Tensor, reference: Tensor, placements: Tensor) -> Tensor:
    """Distance float32 [p] in 0..2 of pairs of pixels float32 [p, C, h, w], sqrt(2 - 2 NCC) where they overlap.

    placements: float32 [p, 2, 3], (down, right) from the centre of the query of a place of the reference, before
    anything is registered: the least distance on the way counts. Pictures without contrast are alike among
    themselves, at 0, and unrelated to all others.
    """
    height, width = query.shape[2:]
    basis = _make_basis(height, width)
    terms = len(basis)
    theta = torch.zeros(len(query), 2, terms)
    # A place is (1, down, right): placements are the first three terms, in units of half a side.
    theta[:, :, 0] = placements[:, :, 2]
    theta[:, :, 1:3] = placements[:, :, :2] * (max(height, width) / 2)
    start = theta.clone()
    reference, flat = _standardise(reference)
    query, query_flat = _standardise(query)
    slope = _slope(reference)
    distance = torch.full((len(query),), torch.inf)
    prior = (NOISE / (REACH * max(height, width))) ** 2 * query.shape[1]
    eye = prior * torch.eye(2 * terms)
    for step in range(STEPS + 1):
        warped, inside = _warp(query, theta, basis)
        toned, weight, found = _fit_tone(warped, reference, inside)
        distance = torch.minimum(distance, found)
        if step == STEPS:
            break
        gradient = (slope + _slope(toned)) / 2  # [p, 2, C, hw]
        error = (reference - toned).flatten(2)  # [p, C, hw]
        weight = weight.flatten(2)
        # Normal equations, summed over the channels: J = gradient times basis.
        weighted = gradient * weight[:, None]  # [p, 2, C, hw]
        inner = torch.einsum("pach,pbch->pabh", weighted, gradient)
        pairs = (basis[:, None] * basis[None]).flatten(0, 1)  # [terms^2, hw]
        normal = (inner.flatten(0, 2) @ pairs.T).view(-1, 2, 2, terms, terms).transpose(2, 3).flatten(3).flatten(1, 2)
        right = torch.einsum("pach,pch->pah", weighted, error) @ basis.T  # [p, 2, terms]
        right = right - prior * (theta - start)
        theta = theta + torch.linalg.solve(normal + eye, right.flatten(1)).view_as(theta)
    distance[flat ^ query_flat] = UNRELATED
    distance[flat & query_flat] = 0
    return distance


@lru_cache(maxsize=16)
def _make_basis(height: int, width: int) -> Tensor:
    """[terms, h * w]: 1, down, right, and their products, from the centre in halves of the longer side."""
    half = max(height, width) / 2
    down = ((torch.arange(height) - (height - 1) / 2) / half)[:, None].expand(height, width)
    right = ((torch.arange(width) - (width - 1) / 2) / half).expand(height, width)
    terms = [torch.ones(height, width), down, right, down * down - 1 / 3, down * right, right * right - 1 / 3]
    return torch.stack(terms).flatten(1)


def _standardise(pixels: Tensor) -> tuple[Tensor, Tensor]:
    """Mean 0 and standard deviation 1, and bool [p] where there is no contrast."""
    centred = pixels - pixels.mean(dim=(1, 2, 3), keepdim=True)
    spread = centred.square().mean(dim=(1, 2, 3), keepdim=True).sqrt()
    return centred / spread.clamp(min=FLAT), (spread < FLAT).flatten()


def _slope(pixels: Tensor) -> Tensor:
    """[p, 2, C, hw], central differences down and right."""
    wide = F.pad(pixels, (1, 1, 1, 1), mode="replicate")
    down = (wide[:, :, 2:, 1:-1] - wide[:, :, :-2, 1:-1]) / 2
    right = (wide[:, :, 1:-1, 2:] - wide[:, :, 1:-1, :-2]) / 2
    return torch.stack([down, right], dim=1).flatten(3)


def _warp(query: Tensor, theta: Tensor, basis: Tensor) -> tuple[Tensor, Tensor]:
    """W [p, C, h, w] and 1 where y(x) lies in the query, [p, 1, h, w]."""
    height, width = query.shape[2:]
    places = (theta @ basis).unflatten(2, (height, width))
    down, right = places[:, 0], places[:, 1]
    inside = (down.abs() <= (height - 1) / 2 + 0.01) & (right.abs() <= (width - 1) / 2 + 0.01)
    grid = torch.stack([right * (2 / (width - 1)), down * (2 / (height - 1))], dim=3)
    warped = F.grid_sample(query, grid, mode="bilinear", padding_mode="border", align_corners=True)
    return warped, inside[:, None].float()


def _fit_tone(warped: Tensor, reference: Tensor, inside: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The tone curve of W that fits r best, the weights m, both [p, C, h, w], and the distance [p]."""
    shape = warped.shape
    w, r = warped.flatten(1), reference.flatten(1)
    m = inside.expand(shape).flatten(1)
    columns = torch.stack([torch.ones_like(w), w, w * w], dim=1)
    for last in (False, True):
        weighted = columns * m[:, None]
        normal = weighted @ columns.transpose(1, 2)
        normal = normal + 1e-4 * m.sum(1)[:, None, None] * torch.diag(torch.tensor([1e-3, 1e-3, 1.0]))
        factors = torch.linalg.solve(normal, (weighted @ r[:, :, None])[:, :, 0])
        toned = (factors[:, None] @ columns)[:, 0]
        residual = r - toned
        total = m.sum(1).clamp(min=1)
        usual = ((m * residual.square()).sum(1) / total)[:, None]
        if not last:
            m = m / (1 + residual.square() / (OUTLYING**2 * usual + 1e-6))
    mean = (m * r).sum(1) / total
    spread = (m * (r - mean[:, None]).square()).sum(1) / total
    share = (usual[:, 0] / spread.clamp(min=1e-6)).clamp(max=1)
    root = (1 - share).sqrt()
    distance = (2 * share / (1 + root)).sqrt()
    w_mean = (m * w).sum(1) / total
    negative = (m * (w - w_mean[:, None]) * r).sum(1) < 0
    distance = torch.where(negative, (2 + 2 * root).sqrt(), distance)
    return toned.view(shape), m.view(shape), distance
