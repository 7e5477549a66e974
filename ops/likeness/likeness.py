"""How alike two small images are, even if one of them was turned, scaled, shifted, mirrored, brightened or made noisy.

Both are averaged down and blurred a little. The distance is sqrt(2 - 2 NCC), NCC their normalised cross-correlation
after one was laid on the other. Three steps find the pair worth that:

1. Signatures, the magnitudes of the low frequencies in a window, are compared with those of all references. The
   query signs once for each of several views: shifted windows, and the poses it may have been turned or scaled to.
   The best references for the query and the best for its mirror image are the candidates (`screening`).
2. The query is correlated with each candidate at every shift, in the pose whose signature is most like the
   candidate's. Spectra of the query's centre do that, because every allowed shift keeps the centre in the picture.
3. The candidates that correlate best are registered from that pose and shift (`registration`), and the distance is
   measured pixel by pixel.

It knows nothing of labels, thresholds or files.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ops.likeness.descriptors import Likenesses, Queries, as_complex, count_even
from ops.likeness.gratings import (
    MIRRORED,
    POSES,
    list_offsets,
    list_views,
    make_turns,
    measure_offsets,
)
from ops.likeness.registration import COARSE, FLAT, compare, register
from ops.likeness.screening import screen

CANDIDATES = 8  # by signature, for a picture and for its mirror image
REGISTERED = 3  # of the candidates that correlate best
LAID = 400_000  # values of pairs that are laid on each other at once: few calls, and not far from the core
CLEARLY = 0.02  # small pictures correlate roughly: a pose must beat the unposed picture by this much
PULL = 0.01  # smooth pictures correlate at every shift: the farthest, down or right, must beat none by this much
DIGITS = 5  # of a distance; what differs less is rounding
AROUND = 5  # the neighbour whose distance says how closely images lie around one
CORRELATED = 128  # queries at once, so that their candidates' spectra stay near the core


# From `around`, float32 [n], and whose the candidates are, int64 [n, c]: distances float32 [n, c] or [n, 1].
Within = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True, eq=False)
class Alike:
    """What lies near n queries: inf, and index -1, where there is nothing.

    distances: float32 [n, k] in 0..2, ascending. indices: int64 [n, k], whose they are. around: float32 [n], a rough
    distance to the AROUND-th nearest reference: how closely they lie there.
    """

    distances: np.ndarray
    indices: np.ndarray
    around: np.ndarray


def find_alike(
    queries: Queries,
    references: Likenesses,
    k: int = 1,
    *,
    below: np.ndarray | None = None,
    other_than: np.ndarray | None = None,
    candidates: int = CANDIDATES,
    within: Within | None = None,
) -> Alike:
    """Each query's k nearest references.

    A query sees only the references with an index below its `below`, int [n], and not the one with the index
    `other_than`, int [n], which may be itself. Of pictures that are not the same it finds a near one, not always the
    nearest: more `candidates` (for a picture and as many for its mirror image) come closer to that, in more time.

    Pairs that lie farther apart than `within` after the first steps of registration are left at that: theirs is the
    rough distance there. Without it all steps are taken of all.
    """
    distances = np.full((len(queries), k), np.inf, np.float32)
    indices = np.full((len(queries), k), -1, np.int64)
    if not len(references) or not len(queries):
        return Alike(distances, indices, np.full(len(queries), np.inf, np.float32))
    limits = torch.as_tensor(np.full(len(queries), len(references)) if below is None else below)
    own = None if other_than is None else torch.as_tensor(other_than)
    even = count_even(references)
    cosines, found = screen(queries.views, references.signatures, even, limits, own, candidates)
    measured, index, around = _measure(queries, references, cosines, found, k, within)
    kept = min(k, measured.shape[1])
    distances[:, :kept] = measured[:, :kept].numpy()
    indices[:, :kept] = index[:, :kept].numpy()
    indices[np.isinf(distances)] = -1
    return Alike(distances, indices, around)


def measure_pairs(queries: Queries, references: Likenesses, indices: np.ndarray) -> np.ndarray:
    """Each query's distance to the one reference that `indices` int [n] names: float32 [n] in 0..2."""
    if not len(queries):
        return np.empty(0, np.float32)
    found = torch.as_tensor(indices)[:, None, None].repeat(1, 2, 1)  # the only candidate, as it is and mirrored
    measured, _, _ = _measure(queries, references, torch.zeros(found.shape), found, 1, None)
    distances: np.ndarray = measured[:, 0].numpy()
    return distances


def _measure(
    queries: Queries, references: Likenesses, cosines: Tensor, found: Tensor, wanted: int, within: Within | None
) -> tuple[Tensor, Tensor, np.ndarray]:
    """Distances [n, m] to, and indices of, the nearest of the candidates [n, 2, c], nearest first.

    And the AROUND-th one's distance [n], as its correlation has it.
    """
    shape = queries.pixels.shape[2], queries.pixels.shape[3]
    count = max(wanted + 2, REGISTERED)
    correlation, shift, pose = torch.full(found.shape, -torch.inf), torch.zeros_like(found), torch.zeros_like(found)
    for start in range(0, len(queries), CORRELATED):
        rows = slice(start, start + CORRELATED)
        posed = _choose_poses(queries.views[rows], references, found[rows], shape)
        tries = [(posed, 0.0)] if min(shape) >= COARSE else [(torch.zeros_like(posed), 0.0), (posed, CLEARLY)]
        for tried, needed in tries:
            value, moved = _correlate(queries.centres[rows], tried, references, found[rows], shape)
            better = value > correlation[rows] + needed
            correlation[rows][better], shift[rows][better], pose[rows][better] = (
                value[better],
                moved[better],
                tried[better],
            )
    correlation = correlation.masked_fill_(cosines == -torch.inf, -torch.inf).flatten(1)
    shift, pose, found = shift.flatten(1), pose.flatten(1), found.flatten(1)
    places, bests = [], []
    for _ in range(max(count, AROUND)):
        best, place = correlation.max(dim=1, keepdim=True)
        places.append(place)
        bests.append(best)
        correlation.masked_fill_(found == found.gather(1, place), -torch.inf)
    place, correlated = torch.cat(places[:count], dim=1), torch.cat(bests[:count], dim=1)
    around = _to_distance(bests[AROUND - 1][:, 0])  # inf where there is none
    # In order of their indices, so that of equal ones the lower comes first.
    index, order = found.gather(1, place).sort(dim=1, stable=True)
    place, correlated = place.gather(1, order), correlated.gather(1, order)
    tried = correlated > -torch.inf
    mirrored = place >= found.shape[1] // 2
    query = (torch.arange(len(queries))[:, None] + mirrored * len(queries))[tried]
    placements = _place(pose.gather(1, place)[tried], shift.gather(1, place)[tried], shape)
    reference = index[tried]
    limits = torch.full(index.shape, torch.inf) if within is None else within(around, index).expand(index.shape)
    size = max(1, LAID // queries.pixels[0].numel())
    pairs = zip(*(part.split(size) for part in (query, reference, placements, limits[tried])), strict=True)
    parts = [
        register(queries.pixels[one].float(), references.pixels[other].float(), start, limit)
        for one, other, start, limit in pairs
    ]
    theta, left, taken = (torch.cat(part) for part in zip(*parts, strict=True))
    rough = torch.full(place.shape, torch.inf).masked_scatter_(tried, left.round(decimals=DIGITS))
    # The nearest are measured, where all steps were taken.
    nearest = rough.argsort(dim=1, stable=True)[:, :wanted]
    chosen = torch.zeros_like(tried).masked_scatter_(tried, taken)
    chosen &= torch.zeros_like(tried).scatter_(1, nearest, True)
    few = chosen[tried]
    pairs = zip(*(part[few].split(size) for part in (query, reference, theta)), strict=True)
    measured = [compare(queries.pixels[one].float(), references.pixels[other].float(), at) for one, other, at in pairs]
    distance = rough.masked_scatter(chosen, torch.cat(measured).round(decimals=DIGITS))
    best, order = distance.gather(1, nearest).sort(dim=1, stable=True)
    return best, index.gather(1, nearest.gather(1, order)), around.numpy()


def _to_distance(correlation: Tensor) -> Tensor:
    return (2 - 2 * correlation).clamp(min=0).sqrt()


def _choose_poses(views: Tensor, references: Likenesses, found: Tensor, shape: tuple[int, int]) -> Tensor:
    """The pose int64 [n, 2, c] in which the query's signature is most like that of each candidate."""
    poses = torch.tensor([pose for pose, _, _ in list_views(*shape)])
    signatures = references.signatures[found].float()
    signatures[:, 1, :, count_even(references) :] *= -1  # to mirror a candidate is to mirror the query
    best = (signatures.flatten(1, 2) @ views.transpose(1, 2)).argmax(dim=2).view(found.shape)
    return torch.stack([poses[best[:, 0]], torch.tensor(MIRRORED)[poses[best[:, 1]]]], dim=1)


def _correlate(
    centres: Tensor, pose: Tensor, references: Likenesses, found: Tensor, shape: tuple[int, int]
) -> tuple[Tensor, Tensor]:
    """The correlation float32 [n, 2, c] of each candidate at the shift that suits it best, and that shift's number."""
    turns = make_turns(*shape)
    rows, sides = torch.arange(len(found))[:, None, None], torch.arange(2)[:, None]
    product = centres[rows, sides, pose] * as_complex(references.spectrum[found].float()).conj()
    product = torch.view_as_real(product).flatten(3)
    if channels := product.shape[3] // len(turns) - 1:
        product = product.unflatten(3, (channels + 1, -1)).sum(3)
    correlations = (product.flatten(0, 2) @ turns).view(*found.shape, -1)
    correlations /= references.contrasts[found].float().clamp_(min=FLAT)
    correlations -= PULL * measure_offsets(*shape)
    best, shift = correlations.max(dim=3)
    return best, shift


def _place(pose: Tensor, shift: Tensor, shape: tuple[int, int]) -> Tensor:
    """float32 [p, 2, 3]: where in the query a place of the reference is to be found, from pose and shift, int64 [p]."""
    turned = torch.stack([entry.to_matrix() for entry in POSES])[pose]
    moved = torch.tensor(list_offsets(*shape), dtype=torch.float32)[shift]
    return torch.cat([turned, turned @ moved[:, :, None]], dim=2)
