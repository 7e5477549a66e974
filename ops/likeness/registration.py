"""The distance between two small pictures after alignment: one is turned, scaled, moved and bent a little.

Pairs are aligned by Gauss-Newton steps (Lucas and Kanade 1981). The displacement of a place is a quadratic polynomial
of the place. A prior pulls it towards the pose and shift at which the pair was found: copies lie within its reach,
other pictures do not. Levels may differ by a tone curve, also a quadratic polynomial, which a penalty pulls towards a
straight line.

Symbols: p pairs, x a place of the reference, y(x) = sum_j theta_j B_j(x) the matching place of the query, W(x) the
query's level there, r(x) the reference's level. It knows nothing of signatures, labels or thresholds.
"""

from __future__ import annotations

import math
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from ops.likeness.gratings import find_blur_reach

UNRELATED = math.sqrt(2)  # the distance of pictures whose correlation is 0
MIN_CONTRAST = 1e-4  # of pixels in 0..1, a fortieth of a grey level: a picture with less counts as flat
STEPS = 4
EARLY_STEPS = 1  # after so many, pairs beyond their limit stop
STRIDE = 2  # a step uses every second place, in pictures of MIN_STRIDED_SIDE pixels a side or more
MIN_STRIDED_SIDE = 16
# A displacement of DISPLACEMENT_SCALE sides costs as much as a residual of RESIDUAL_SCALE contrasts in one pixel.
DISPLACEMENT_SCALE, RESIDUAL_SCALE = 0.04, 0.3
CURVE_PENALTY = 0.1  # weight of the tone curve's quadratic term against the pixels' residuals


def register(query: Tensor, reference: Tensor, placements: Tensor, limits: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Align pairs of pixels float32 [p, C, h, w]: theta float32 [p, 2, terms], a rough distance float32 [p], and
    whether all steps were taken, bool [p].

    placements: float32 [p, 2, 3], affine maps from places of the reference to places of the query (down, right, from
    the centre) to start from. limits: float32 [p]; pairs farther apart than that after EARLY_STEPS stop there. The
    distance is that before the last step taken.
    """
    height, width = query.shape[2:]
    stride = STRIDE if min(height, width) >= MIN_STRIDED_SIDE else 1
    basis = make_basis(height, width, stride)
    reference, query = _standardise(reference)[0], _standardise(query)[0]
    asked = reference[:, :, ::stride, ::stride]  # r(x) at the places that a step uses
    start = torch.zeros(len(query), 2, len(basis))
    start[:, :, 0] = placements[:, :, 2]
    start[:, :, 1:3] = placements[:, :, :2] * (max(height, width) / 2)

    # A step solves (J'J + prior) step = J'e - prior (theta - start): J is slope times basis, e = r - tone(W), summed
    # over places and channels. J'J changes little during the steps, so it is computed once.
    prior = (RESIDUAL_SCALE / (DISPLACEMENT_SCALE * max(height, width))) ** 2 * query.shape[1]
    warped, inside = _warp(query, start, basis, stride)
    slope = _slope(reference, stride).flatten(3)  # [p, 2, C, places]
    slope = slope * inside.flatten(2)[:, None]
    inverse = torch.linalg.inv(_multiply_slopes(slope, basis) + prior * torch.eye(2 * len(basis)))
    theta, left, going = start.clone(), torch.full((len(query),), torch.inf), torch.arange(len(query))
    for step in range(STEPS):
        at = theta[going]
        if step:
            warped, inside = _warp(query, at, basis, stride)
        # Residual e and the share of r that it leaves, which gives the distance before this step.
        shared = inside * asked
        error = shared - _fit_tone(warped, asked, inside)[0]
        rest, whole = error.square().sum(dim=(1, 2, 3)), shared.square().sum(dim=(1, 2, 3))
        left[going] = _to_distance((rest / whole.clamp(min=MIN_CONTRAST)).clamp(max=1))
        # Drop the pairs that are still too far apart.
        if step == EARLY_STEPS:
            taken = near = left < limits
            query, asked, slope, inverse, start, error, going, at = (
                part[near] for part in (query, asked, slope, inverse, start, error, going, at)
            )
        # theta += inverse (J'e - prior (theta - start))
        pull = (slope * error.flatten(2)[:, None]).sum(2) @ basis.T - prior * (at - start)
        theta[going] = at + (inverse @ pull.flatten(1)[:, :, None]).view_as(at)
    return theta, left, taken


def compare(query: Tensor, reference: Tensor, theta: Tensor) -> Tensor:
    """Distance float32 [p] in 0..2 of aligned pairs of pixels: sqrt(2 - 2 NCC) where they overlap.

    Flat pictures are at distance 0 from each other and at UNRELATED from all others.
    """
    (reference, flat), (query, query_flat) = _standardise(reference), _standardise(query)
    warped, inside = _warp(query, theta, make_basis(*query.shape[2:]), 1, "bicubic")
    toned, mean = _fit_tone(warped, reference, inside)
    away, left = inside * (reference - mean), inside * reference - toned
    spread, rest = (part.square().sum(dim=(1, 2, 3)) for part in (away, left))
    unexplained = (rest / spread.clamp(min=MIN_CONTRAST)).clamp(max=1)
    root = (1 - unexplained).sqrt()
    negative = (away * warped).sum(dim=(1, 2, 3)) < 0
    distance = torch.where(negative, (2 + 2 * root).sqrt(), _to_distance(unexplained))
    distance[flat ^ query_flat] = UNRELATED
    distance[flat & query_flat] = 0
    return distance


def _to_distance(unexplained: Tensor) -> Tensor:
    """sqrt(2 - 2 NCC), where NCC^2 is the share that W explains; in a form that keeps its digits near 0."""
    return (2 * unexplained / (1 + (1 - unexplained).sqrt())).sqrt()


def _multiply_slopes(slope: Tensor, basis: Tensor) -> Tensor:
    """J'J [p, 2 terms, 2 terms] of slopes [p, 2, C, places] and basis [terms, places]."""
    terms = len(basis)
    inner = (slope[:, :, None] * slope[:, None]).sum(3)
    products = (basis[:, None] * basis).flatten(0, 1)
    return (inner @ products.T).unflatten(3, (terms, terms)).transpose(2, 3).flatten(3).flatten(1, 2)


def _warp(query: Tensor, theta: Tensor, basis: Tensor, stride: int, mode: str = "bilinear") -> tuple[Tensor, Tensor]:
    """W [p, C, places down, right], and a mask [p, 1, places], 1 where both pictures have pixels.

    The edge, where the blur repeated the end pixels, counts as outside.
    """
    height, width = query.shape[2:]
    edge = find_blur_reach(height, width)
    places = (theta @ basis).unflatten(2, (-(-height // stride), -1))
    down, right = places[:, 0], places[:, 1]
    inside = (down.abs() <= (height - 1) / 2 - edge) & (right.abs() <= (width - 1) / 2 - edge)
    frame = F.pad(torch.ones(height - 2 * edge, width - 2 * edge), (edge,) * 4)[::stride, ::stride]
    grid = torch.stack([right * (2 / max(width - 1, 1)), down * (2 / max(height - 1, 1))], dim=3)
    warped = F.grid_sample(query, grid, mode=mode, padding_mode="border", align_corners=True)
    return warped, (inside * frame)[:, None]


def _fit_tone(warped: Tensor, reference: Tensor, inside: Tensor) -> tuple[Tensor, Tensor]:
    """The curve a + bW + cW² fitted to r by least squares, in the shape of W, 0 outside; and the mean of r,
    [p, 1, 1, 1]."""
    one = inside.expand(warped.shape).flatten(1)
    linear = warped.flatten(1) * one
    columns = torch.stack([one, linear, linear * linear], dim=1)
    count = one.sum(1).clamp(min=1)[:, None, None]
    normal = columns @ columns.transpose(1, 2) / count + torch.diag(torch.tensor([1e-7, 1e-7, CURVE_PENALTY]))
    right = columns @ reference.flatten(1)[:, :, None] / count
    factors = torch.linalg.solve(normal, right)
    return (factors.transpose(1, 2) @ columns).view_as(warped), right[:, :1, :, None]


@lru_cache(maxsize=16)
def make_basis(height: int, width: int, stride: int = 1) -> Tensor:
    """B [terms, places]: 1, down, right and their products; 0 at the centre, 1 after half the longer side."""
    half = max(height, width) / 2
    down = ((torch.arange(0, height, stride) - (height - 1) / 2) / half)[:, None]
    right = (torch.arange(0, width, stride) - (width - 1) / 2) / half
    one = torch.ones(len(down), len(right))
    terms = [one, down * one, right * one, (down**2 - 1 / 3) * one, down * right, (right**2 - 1 / 3) * one]
    return torch.stack(terms).flatten(1)


def _standardise(pixels: Tensor) -> tuple[Tensor, Tensor]:
    """Pixels standardised to mean 0 and standard deviation 1; bool [p] marks flat pictures."""
    centred = pixels - pixels.mean(dim=(1, 2, 3), keepdim=True)
    spread = centred.square().mean(dim=(1, 2, 3), keepdim=True).sqrt()
    return centred / spread.clamp(min=MIN_CONTRAST), (spread < MIN_CONTRAST).flatten()


def _slope(pixels: Tensor, stride: int) -> Tensor:
    """[p, 2, C, places down, right], central differences down and right at every `stride`-th place."""
    wide, each = F.pad(pixels, (1, 1, 1, 1), mode="replicate"), slice(None, None, stride)
    down = wide[:, :, 2:, 1:-1][:, :, each, each] - wide[:, :, :-2, 1:-1][:, :, each, each]
    right = wide[:, :, 1:-1, 2:][:, :, each, each] - wide[:, :, 1:-1, :-2][:, :, each, each]
    return torch.stack([down, right], dim=1) / 2
