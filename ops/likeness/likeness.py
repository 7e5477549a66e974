"""How alike two small images are, even if one of them was turned, scaled, shifted, mirrored, brightened or made noisy.

Both are averaged down and blurred a little. The distance is sqrt(2 - 2 NCC), where NCC is their normalised
cross-correlation after alignment. Alignment is costly, so three steps choose the pairs that are aligned:

1. Screening (`screening`). Signatures, the magnitudes of the low frequencies in a window, are compared with those of
   all references. A query has one signature for each of several windows: shifted ones, and ones in the poses (turned,
   scaled) that it may have. The best references for the query and for its mirror image are the candidates.
2. Correlation. The query is correlated with each candidate at every shift, in the pose whose signature is most like
   the candidate's. Only the query's centre takes part, because every allowed shift keeps the centre in the picture.
3. Registration (`registration`). The candidates that correlate best are aligned from that pose and shift, and the
   distance is measured pixel by pixel.

Symbols: n queries; c candidates for each side, the query itself (side 0) and its mirror image (side 1); Q_p the
spectrum of the query's centre in pose p, R the reference's, s a shift, f frequencies. It knows nothing of labels,
thresholds or files.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ops.likeness.descriptors import ImageDescriptors, Queries, as_complex, count_even
from ops.likeness.gratings import (
    MIRRORED,
    POSES,
    list_offsets,
    list_windows,
    make_shift_phases,
    measure_offsets,
)
from ops.likeness.registration import MIN_CONTRAST, MIN_STRIDED_SIDE, compare, register
from ops.likeness.screening import screen

CANDIDATES = 8  # by signature, for a picture and as many for its mirror image
REGISTERED_CANDIDATES = 3  # those that correlate best
PIXELS_AT_ONCE = 400_000  # values registered at once: few calls, and small enough for a core's cache
POSE_MARGIN = 0.02  # correlations of small pictures are rough: a pose must beat the unposed picture by this much
SHIFT_PENALTY = 0.01  # smooth pictures correlate at every shift: the farthest, down or right, must win by this much
DIGITS = 5  # of a distance; smaller differences are rounding
SPACING_RANK = 5  # the neighbour whose distance tells how densely images lie near a query
QUERIES_AT_ONCE = 128  # correlated at once, so that their candidates' spectra stay in the cache


# Maps rough spacings, float32 [n], and the candidates' indices, int64 [n, c], to distances float32 [n, c] or [n, 1].
FindLimits = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True, eq=False)
class Matches:
    """The nearest references of n queries; distance inf and index -1 where there are fewer than k.

    distances: float32 [n, k] in 0..2, ascending. indices: int64 [n, k], of the references. rough_spacing: float32 [n],
    an approximate distance to the reference of rank SPACING_RANK: how densely references lie there.
    """

    distances: np.ndarray
    indices: np.ndarray
    rough_spacing: np.ndarray


def find_matches(
    queries: Queries,
    references: ImageDescriptors,
    k: int = 1,
    *,
    below: np.ndarray | None = None,
    other_than: np.ndarray | None = None,
    candidates: int = CANDIDATES,
    find_limits: FindLimits | None = None,
) -> Matches:
    """Each query's k nearest references.

    A query is compared only with references whose index is below its `below`, int [n], and never with the reference
    `other_than`, int [n] (-1: none), which may be the query itself. Copies are found reliably. Among different
    pictures the search is approximate: more `candidates` (for a picture, and as many for its mirror image) find nearer
    ones in more time.

    Registration of a pair stops early when the pair lies farther apart than its limit from `find_limits`; its distance
    is then the rough one reached. Without limits every pair takes all steps.
    """
    distances = np.full((len(queries), k), np.inf, np.float32)
    indices = np.full((len(queries), k), -1, np.int64)
    if not len(references) or not len(queries):
        return Matches(distances, indices, np.full(len(queries), np.inf, np.float32))
    limits = torch.as_tensor(np.full(len(queries), len(references)) if below is None else below)
    own = None if other_than is None else torch.as_tensor(other_than)
    even = count_even(references)
    cosines, found = screen(queries.window_signatures, references.signatures, even, limits, own, candidates)
    measured, index, rough_spacing = _measure(queries, references, cosines, found, k, find_limits)
    kept = min(k, measured.shape[1])
    distances[:, :kept] = measured[:, :kept].numpy()
    indices[:, :kept] = index[:, :kept].numpy()
    indices[np.isinf(distances)] = -1
    return Matches(distances, indices, rough_spacing)


def measure_pairs(queries: Queries, references: ImageDescriptors, indices: np.ndarray) -> np.ndarray:
    """Each query's distance to the one reference that `indices` int [n] names: float32 [n] in 0..2."""
    if not len(queries):
        return np.empty(0, np.float32)
    found = torch.as_tensor(indices)[:, None, None].repeat(1, 2, 1)  # the only candidate, for both sides
    measured, _, _ = _measure(queries, references, torch.zeros(found.shape), found, 1, None)
    distances: np.ndarray = measured[:, 0].numpy()
    return distances


def _measure(
    queries: Queries,
    references: ImageDescriptors,
    cosines: Tensor,
    found: Tensor,
    wanted: int,
    find_limits: FindLimits | None,
) -> tuple[Tensor, Tensor, np.ndarray]:
    """Steps 2 and 3: distances [n, m] to, and indices of, the nearest of the candidates [n, 2, c], nearest first.

    Also the rough spacing [n], from correlations.
    """
    shape = queries.pixels.shape[2], queries.pixels.shape[3]
    # Step 2: correlate all candidates, keep the best.
    correlation, shift, pose = _correlate_candidates(queries, references, found, shape)
    correlation = correlation.masked_fill_(cosines == -torch.inf, -torch.inf).flatten(1)
    shift, pose, found = shift.flatten(1), pose.flatten(1), found.flatten(1)
    place, correlated, rough_spacing = _keep_best(correlation, found, max(wanted + 2, REGISTERED_CANDIDATES))
    # In order of their indices, so that the lower one comes first where distances are equal.
    index, order = found.gather(1, place).sort(dim=1, stable=True)
    place, correlated = place.gather(1, order), correlated.gather(1, order)

    # Step 3a: register these, p pairs in all, each from its pose and shift.
    tried = correlated > -torch.inf
    mirrored = place >= found.shape[1] // 2
    query = (torch.arange(len(queries))[:, None] + mirrored * len(queries))[tried]
    placements = _place(pose.gather(1, place)[tried], shift.gather(1, place)[tried], shape)
    reference = index[tried]
    limits = torch.full(index.shape, torch.inf)
    if find_limits is not None:
        limits = find_limits(rough_spacing, index).expand(index.shape)
    size = max(1, PIXELS_AT_ONCE // queries.pixels[0].numel())
    pairs = zip(*(part.split(size) for part in (query, reference, placements, limits[tried])), strict=True)
    parts = [
        register(queries.pixels[one].float(), references.pixels[other].float(), start, limit)
        for one, other, start, limit in pairs
    ]
    theta, left, taken = (torch.cat(part) for part in zip(*parts, strict=True))
    rough = torch.full(place.shape, torch.inf).masked_scatter_(tried, left.round(decimals=DIGITS))

    # Step 3b: measure the `wanted` nearest pixel by pixel, if they took all steps; the others keep the rough distance.
    nearest = rough.argsort(dim=1, stable=True)[:, :wanted]
    chosen = torch.zeros_like(tried).masked_scatter_(tried, taken)
    chosen &= torch.zeros_like(tried).scatter_(1, nearest, True)
    few = chosen[tried]
    pairs = zip(*(part[few].split(size) for part in (query, reference, theta)), strict=True)
    measured = [compare(queries.pixels[one].float(), references.pixels[other].float(), at) for one, other, at in pairs]
    distance = rough.masked_scatter(chosen, torch.cat(measured).round(decimals=DIGITS))
    best, order = distance.gather(1, nearest).sort(dim=1, stable=True)
    return best, index.gather(1, nearest.gather(1, order)), rough_spacing.numpy()


def _correlate_candidates(
    queries: Queries, references: ImageDescriptors, found: Tensor, shape: tuple[int, int]
) -> tuple[Tensor, Tensor, Tensor]:
    """Of each candidate [n, 2, c] the best correlation, the number of its shift, and its pose."""
    correlation, shift, pose = torch.full(found.shape, -torch.inf), torch.zeros_like(found), torch.zeros_like(found)
    for start in range(0, len(queries), QUERIES_AT_ONCE):
        rows = slice(start, start + QUERIES_AT_ONCE)
        posed = _choose_poses(queries.window_signatures[rows], references, found[rows], shape)
        tries = [(posed, 0.0)]
        if min(shape) < MIN_STRIDED_SIDE:
            tries = [(torch.zeros_like(posed), 0.0), (posed, POSE_MARGIN)]
        for tried, needed in tries:
            value, moved = _correlate(queries.centres[rows], tried, references, found[rows], shape)
            better = value > correlation[rows] + needed
            correlation[rows][better], shift[rows][better], pose[rows][better] = (
                value[better],
                moved[better],
                tried[better],
            )
    return correlation, shift, pose


def _choose_poses(
    window_signatures: Tensor, references: ImageDescriptors, found: Tensor, shape: tuple[int, int]
) -> Tensor:
    """The pose p int64 [n, 2, c] in which the query's signature is most like that of each candidate."""
    poses = torch.tensor([pose for pose, _, _ in list_windows(*shape)])
    signatures = references.signatures[found].float()
    signatures[:, 1, :, count_even(references) :] *= -1  # mirroring the candidate stands for mirroring the query
    best = (signatures.flatten(1, 2) @ window_signatures.transpose(1, 2)).argmax(dim=2).view(found.shape)
    return torch.stack([poses[best[:, 0]], torch.tensor(MIRRORED)[poses[best[:, 1]]]], dim=1)


def _correlate(
    centres: Tensor, pose: Tensor, references: ImageDescriptors, found: Tensor, shape: tuple[int, int]
) -> tuple[Tensor, Tensor]:
    """max over shifts s of C(s) = sum_f Re(Q_p conj(R) e^{i phase(f, s)}) / contrast(s) - penalty |s|^2.

    float32 [n, 2, c], and the number of the shift that reaches it, int64 [n, 2, c].
    """
    phases = make_shift_phases(*shape)
    rows, sides = torch.arange(len(found))[:, None, None], torch.arange(2)[:, None]
    # Q_p conj(R), summed over channels: float32 [n, 2, c, 2 f].
    product = centres[rows, sides, pose] * as_complex(references.spectrum[found].float()).conj()
    product = torch.view_as_real(product).flatten(3)
    if channels := product.shape[3] // len(phases) - 1:
        product = product.unflatten(3, (channels + 1, -1)).sum(3)
    # Q_p has unit norm already; the reference's contrast differs with the shift.
    correlations = (product.flatten(0, 2) @ phases).view(*found.shape, -1)
    correlations /= references.contrasts[found].float().clamp_(min=MIN_CONTRAST)
    correlations -= SHIFT_PENALTY * measure_offsets(*shape)
    best, shift = correlations.max(dim=3)
    return best, shift


def _keep_best(correlation: Tensor, found: Tensor, count: int) -> tuple[Tensor, Tensor, Tensor]:
    """Places [n, count] of, and correlations with, the best different references of [n, 2 c], and the rough spacing.

    A reference that is a candidate of both sides counts once, with its better side. `correlation` is used up.
    """
    places, bests = [], []
    for _ in range(max(count, SPACING_RANK)):
        best, place = correlation.max(dim=1, keepdim=True)
        places.append(place)
        bests.append(best)
        correlation.masked_fill_(found == found.gather(1, place), -torch.inf)
    rough_spacing = (2 - 2 * bests[SPACING_RANK - 1][:, 0]).clamp(min=0).sqrt()  # inf where there are fewer
    return torch.cat(places[:count], dim=1), torch.cat(bests[:count], dim=1), rough_spacing


def _place(pose: Tensor, shift: Tensor, shape: tuple[int, int]) -> Tensor:
    """Affine maps float32 [p, 2, 3] from a place of the reference to a place of the query; pose, shift: int64 [p]."""
    turned = torch.stack([entry.to_matrix() for entry in POSES])[pose]
    moved = torch.tensor(list_offsets(*shape), dtype=torch.float32)[shift]
    return torch.cat([turned, turned @ moved[:, :, None]], dim=2)
