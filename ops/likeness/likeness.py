"""How alike two small images are, whether or not one of them was shifted, mirrored, brightened or made noisy.

Both are blurred a little and compared after mean and contrast are taken out, over the part that they share at the
shift that suits them best: the distance is sqrt(2 - 2 NCC), NCC their normalised cross-correlation there, of the
image or of its mirror image. Three steps find the pair worth that:

1. Signatures: the magnitudes of the low frequencies in a window, which a shift changes little, are compared with
   those of all references. The query's window stands in five places and in the mirror image (left and right).
2. The best candidates: the query's centre, which every allowed shift keeps in the picture, is correlated with the
   reference at every shift by their spectra.
3. The best of these pairs are measured, pixel by pixel.

It knows nothing of labels, thresholds or files.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ops.likeness.gratings import (
    MIRRORED,
    POSES,
    find_partners,
    find_reach,
    list_offsets,
    list_views,
    make_blur,
    make_centres,
    make_posed_centres,
    make_turns,
    make_waves,
    make_weights,
    make_windows,
    measure_radii,
    mirror_views,
)
from ops.likeness.registration import COARSE, FLAT, compare, register
from ops.likeness.screening import screen

SIDE = 32  # larger images are averaged down to this
CANDIDATES = 8  # by signature, for a picture and for its mirror image
REGISTERED = 3  # of the candidates that correlate best
CLEARLY = 0.02  # small pictures correlate roughly: a pose must beat the unposed picture by this much
DIGITS = 5  # of a distance; what differs less is rounding
AROUND = 5  # the neighbour whose distance says how closely images lie around one
BLOCK = 256  # images described at once
CORRELATED = 128  # queries at once, so that their candidates' spectra stay near the core


@dataclass(frozen=True, eq=False)
class Likenesses:
    """What comparisons need of n images; 2.3 KB for each of 28x28x1.

    pixels: float16 [n, C, h, w], blurred, mean 0. spectrum: float16 [n, C * f * 2], of those pixels.
    contrasts: float16 [n, shifts], of the centre of the picture moved by each shift. signatures: float16 [n, C * f].
    """

    pixels: Tensor
    spectrum: Tensor
    contrasts: Tensor
    signatures: Tensor

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, rows: slice) -> Likenesses:
        return Likenesses(self.pixels[rows], self.spectrum[rows], self.contrasts[rows], self.signatures[rows])


@dataclass(frozen=True, eq=False)
class Queries:
    """A batch of n images, ready to be looked for.

    pixels: float16 [2n, C, h, w], theirs and then their mirror images'. centres: complex64 [n, 2, C * f], the spectra
    of the centres of both. views: their signatures in every window, float32 [n, w, C * f], of both.
    """

    pixels: Tensor
    centres: Tensor
    views: tuple[Tensor, Tensor]

    def __len__(self) -> int:
        return len(self.centres)


@dataclass(frozen=True, eq=False)
class Alike:
    """What lies near n queries: inf, and index -1, where there is nothing.

    distances: float32 [n, k] in 0..2, ascending. indices: int64 [n, k], whose they are. around: float32 [n], a rough
    distance to the AROUND-th nearest reference: how closely they lie there.
    """

    distances: np.ndarray
    indices: np.ndarray
    around: np.ndarray


def describe(images: Tensor) -> Likenesses:
    """Likenesses of uint8 images [n, C, H, W]; each depends on its own image only."""
    parts = [_describe(part) for part in (images.split(BLOCK) if len(images) else [images])]
    return Likenesses(
        torch.cat([part.pixels for part in parts]),
        torch.cat([part.spectrum for part in parts]),
        torch.cat([part.contrasts for part in parts]),
        torch.cat([part.signatures for part in parts]),
    )


def prepare(likenesses: Likenesses) -> Queries:
    """What a batch needs to be looked for, which is the same wherever it is looked for: 7 KB for an image."""
    pixels = likenesses.pixels.float()
    shape = pixels.shape[2], pixels.shape[3]
    partner = find_partners(*shape)[0]
    views = _sign(pixels, make_windows(*shape))
    mirrored = views[:, mirror_views(*shape)].unflatten(2, (-1, len(partner)))[..., partner].flatten(2)
    centres = _pose_centres(pixels)
    centres = _as_complex(torch.stack([centres, _mirror(centres[:, MIRRORED], shape)], dim=1))
    return Queries(torch.cat([likenesses.pixels, likenesses.pixels.flip(-1)]), centres, (views, mirrored))


def find_alike(
    queries: Queries,
    references: Likenesses,
    k: int = 1,
    *,
    below: np.ndarray | None = None,
    other_than: np.ndarray | None = None,
    candidates: int = CANDIDATES,
) -> Alike:
    """Each query's k nearest references.

    A query sees only the references with an index below its `below`, int [n], and not the one with the index
    `other_than`, int [n], which may be itself. Of pictures that are not the same it finds a near one, not always the
    nearest: more `candidates` (for a picture and as many for its mirror image) come closer to that, in more time.
    """
    distances = np.full((len(queries), k), np.inf, np.float32)
    indices = np.full((len(queries), k), -1, np.int64)
    if not len(references) or not len(queries):
        return Alike(distances, indices, np.full(len(queries), np.inf, np.float32))
    limits = torch.as_tensor(np.full(len(queries), len(references)) if below is None else below)
    own = None if other_than is None else torch.as_tensor(other_than)
    cosines, found = screen(queries.views, references.signatures, limits, own, candidates)
    measured, index, around = _measure(queries, references, cosines, found, k)
    best, order = measured.sort(dim=1, stable=True)
    kept = min(k, best.shape[1])
    distances[:, :kept] = best[:, :kept].numpy()
    indices[:, :kept] = index.gather(1, order)[:, :kept].numpy()
    indices[np.isinf(distances)] = -1
    return Alike(distances, indices, around)


def measure_pairs(queries: Queries, references: Likenesses, indices: np.ndarray) -> np.ndarray:
    """Each query's distance to the one reference that `indices` int [n] names: float32 [n] in 0..2."""
    if not len(queries):
        return np.empty(0, np.float32)
    found = torch.as_tensor(indices)[:, None, None].repeat(1, 2, 1)  # the only candidate, as it is and mirrored
    measured, _, _ = _measure(queries, references, torch.zeros(found.shape), found, 1)
    distances: np.ndarray = measured.min(dim=1).values.numpy()
    return distances


def _describe(images: Tensor) -> Likenesses:
    height, width = (min(size, SIDE) for size in images.shape[2:])
    reach = find_reach(height, width)
    blur_rows, blur_columns = make_blur(images.shape[2], height, reach), make_blur(images.shape[3], width, reach)
    blurred = blur_rows @ (images.float() / 255) @ blur_columns.T
    centred = blurred - blurred.mean(dim=(1, 2, 3), keepdim=True)
    spectrum = _spectra(centred)
    return Likenesses(
        centred.half(),
        spectrum.half(),
        _contrasts(spectrum, (height, width)).half(),
        _sign(centred, make_windows(height, width)[:, : spectrum.shape[1] // centred.shape[1]])[:, 0].half(),
    )


def _spectra(pixels: Tensor) -> Tensor:
    """float32 [n, C * f * 2] of pixels [n, C, h, w]: real and imaginary parts side by side."""
    return (pixels.flatten(2) @ make_waves(*pixels.shape[2:])).flatten(1)


def _contrasts(spectrum: Tensor, shape: tuple[int, int]) -> Tensor:
    """Standard deviation float32 [n, shifts] of the low frequencies in the centre, moved by each shift."""
    waves, centres = make_waves(*shape), make_centres(*shape)
    low = spectrum.unflatten(1, (-1, waves.shape[1])) * make_weights(*shape) @ waves.T
    means = (low @ centres).mean(1)
    return ((low.square() @ centres).mean(1) - means.square()).clamp(min=0).sqrt()


def _pose_centres(pixels: Tensor) -> Tensor:
    """The spectra float32 [n, poses, C * f * 2] of the centre alone in each pose, mean 0 and unit norm; 0 if flat."""
    inside, waves = make_posed_centres(*pixels.shape[2:])
    flat, count = pixels.flatten(2), inside.sum(0) * pixels.shape[1]
    mean = (flat @ inside).sum(1) / count
    squares = (flat.square() @ inside).sum(1)
    norm = (squares - count * mean.square()).clamp(min=0).sqrt()
    spectra = (flat @ waves).unflatten(2, (len(POSES), -1)).transpose(1, 2)
    spectra = spectra - mean[:, :, None, None] * waves.sum(0).view(len(POSES), 1, -1)
    scale = norm.clamp(min=FLAT * count.sqrt()) * count.sqrt()
    return (spectra / scale[:, :, None, None]).flatten(2)


def _sign(pixels: Tensor, windows: Tensor) -> Tensor:
    """Signatures float32 [n, w, C * f] in windows [h * w, w * 2 f], of unit norm: magnitudes of low frequencies.

    Magnitudes fall with the frequency; the roots and the factor let the small ones speak that tell pictures apart.
    """
    height, width = pixels.shape[2:]
    radii = measure_radii(height, width)
    spectra = (pixels.flatten(2) @ windows).unflatten(2, (-1, len(radii), 2))
    powers = spectra.square_().sum(4).transpose(1, 2)
    flat = powers.sum((2, 3)) < (FLAT * height * width) ** 2 / 4
    signatures = F.normalize((powers.sqrt() * radii).sqrt_().flatten(2), dim=2)
    # Flat pictures are alike, and on the other side of everything else.
    signatures[flat] = -1 / math.sqrt(signatures.shape[2])
    return signatures


def _measure(
    queries: Queries, references: Likenesses, cosines: Tensor, found: Tensor, wanted: int
) -> tuple[Tensor, Tensor, np.ndarray]:
    """Distances [n, m] to, and indices of, the at most `count` candidates [n, 2, c] that correlate best; unsorted.

    And the AROUND-th one's distance [n], as its correlation has it.
    """
    shape = queries.pixels.shape[2], queries.pixels.shape[3]
    count = max(wanted + 2, REGISTERED)
    correlation, shift, pose = torch.full(found.shape, -torch.inf), torch.zeros_like(found), torch.zeros_like(found)
    for start in range(0, len(queries), CORRELATED):
        rows = slice(start, start + CORRELATED)
        posed = _choose_poses([views[rows] for views in queries.views], references, found[rows], shape)
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
    fifth = bests[AROUND - 1][:, 0]
    around = (2 - 2 * fifth).clamp(min=0).sqrt()  # inf where there is none
    place, known = torch.cat(places[:count], dim=1), torch.cat(bests[:count], dim=1) > -torch.inf
    # In order of their indices, so that of equal ones the lower comes first.
    index, order = found.gather(1, place).sort(dim=1, stable=True)
    place, known = place.gather(1, order), known.gather(1, order)
    mirrored = place >= found.shape[1] // 2
    query = (torch.arange(len(queries))[:, None] + mirrored * len(queries))[known]
    placements = _place(pose.gather(1, place)[known], shift.gather(1, place)[known], shape)
    one, other = queries.pixels[query].float(), references.pixels[index[known]].float()
    theta, left = register(one, other, placements)
    rough = torch.full(place.shape, torch.inf).masked_scatter_(known, left.round(decimals=DIGITS))
    # Only the best registered candidates are measured; the others get distance inf.
    chosen = torch.zeros_like(known).scatter_(1, rough.argsort(dim=1, stable=True)[:, :wanted], True) & known
    few = chosen[known]
    found_distance = compare(one[few], other[few], theta[few]).round(decimals=DIGITS)
    distance = torch.full(place.shape, torch.inf).masked_scatter_(chosen, found_distance)
    return distance, index, around.numpy()


def _choose_poses(views: Sequence[Tensor], references: Likenesses, found: Tensor, shape: tuple[int, int]) -> Tensor:
    """The pose int64 [n, 2, c] in which the query's signature is most like that of each candidate."""
    poses = torch.tensor([pose for pose, _, _ in list_views(*shape)])
    signatures = references.signatures[found].float()
    best = [(signatures[:, side] @ view.transpose(1, 2)).argmax(dim=2) for side, view in enumerate(views)]
    return poses[torch.stack(best, dim=1)]


def _correlate(
    centres: Tensor, pose: Tensor, references: Likenesses, found: Tensor, shape: tuple[int, int]
) -> tuple[Tensor, Tensor]:
    """The correlation float32 [n, 2, c] of each candidate at the shift that suits it best, and that shift's number."""
    turns = make_turns(*shape)
    rows, sides = torch.arange(len(found))[:, None, None], torch.arange(2)[:, None]
    product = centres[rows, sides, pose] * _as_complex(references.spectrum[found].float()).conj()
    product = torch.view_as_real(product).flatten(3)
    if channels := product.shape[3] // len(turns) - 1:
        product = product.unflatten(3, (channels + 1, -1)).sum(3)
    correlations = (product.flatten(0, 2) @ turns).view(*found.shape, -1)
    correlations /= references.contrasts[found].float().clamp_(min=FLAT)
    best, shift = correlations.max(dim=3)
    return best, shift


def _place(pose: Tensor, shift: Tensor, shape: tuple[int, int]) -> Tensor:
    """float32 [p, 2, 3]: where in the query a place of the reference is to be found, from pose and shift, int64 [p]."""
    turned = torch.stack([entry.to_matrix() for entry in POSES])[pose]
    moved = torch.tensor(list_offsets(*shape), dtype=torch.float32)[shift]
    return torch.cat([turned, turned @ moved[:, :, None]], dim=2)


def _as_complex(spectrum: Tensor) -> Tensor:
    return torch.view_as_complex(spectrum.unflatten(-1, (-1, 2)))


def _mirror(spectrum: Tensor, shape: tuple[int, int]) -> Tensor:
    """The spectra float32 [..., C * f * 2] of the mirror images."""
    partner, conjugated = find_partners(*shape)
    moved = spectrum.unflatten(-1, (-1, len(partner), 2))[..., partner, :]
    signs = torch.stack([torch.ones(len(partner)), 1 - 2 * conjugated.float()], dim=1)
    return (moved * signs).flatten(-3)
