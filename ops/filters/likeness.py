"""How alike two small images are, whether or not one of them was shifted, mirrored, brightened or made noisy.

Both are blurred a little and compared after mean and contrast are taken out, over the part that they share at the
shift that suits them best: the distance is sqrt(2 - 2 NCC), NCC their normalised cross-correlation there, of the
image or of its mirror image. Three steps find the pair worth that:

1. Signatures: the magnitudes of the low frequencies in a window, which a shift changes little, are compared with
   those of all references. The query's window stands in five places and in the mirror image (left and right).
2. The best candidates: the query's centre, which every allowed shift keeps in the picture, is correlated with the
   reference at every shift by their spectra.
3. The best of these pairs are measured, pixel by pixel.

Among MANY references and more, signatures are compared in the middle window alone: five times as fast, and of copies
that were moved by two pixels of 28 it misses a third.

It knows nothing of labels, thresholds or files.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ops.neighbours.search import find_nearest

SIDE = 32  # larger images are averaged down to this
SHIFTED = 8  # shifts of up to an eighth of the shorter side are undone: 3 pixels of 28
BLURRED = 14  # a binomial blur reaches a fourteenth of the shorter side: 5 taps at 28
CYCLES = 8  # the highest frequency of signatures, in cycles a picture, if the sides hold as many
CANDIDATES = 8  # by signature, for a picture and for its mirror image
AROUND = 5  # the neighbour whose distance says how closely images lie around one
BLOCK = 256  # images described at once
CORRELATED = 128  # queries at once, so that their candidates' spectra stay near the core
SCREENED = 256  # queries, with ...
REFERENCES = 4096  # ... so many references at once: their products stay near the core
MANY = 65_536  # references from which on the windows at the sides are not looked through
UNRELATED = math.sqrt(2)  # the distance of images that correlate in nothing
FLAT = 1e-4  # below this contrast (of pixels in 0..1) an image has none: a fortieth of a grey level


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
    partner = _partners(*shape)[0]
    views = _sign(pixels, _windows(*shape))
    mirrored = views.unflatten(2, (-1, len(partner)))[..., partner].flatten(2)
    centres = _spectra(_cut_centre(pixels))
    centres = _as_complex(torch.stack([centres, _mirror(centres, shape)], dim=1))
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
    cosines, found = _screen(queries, references, limits, own, candidates)
    measured, index, around = _measure(queries, references, cosines, found, max(k, candidates // 4))
    best, order = measured.sort(dim=1, stable=True)
    kept = min(k, best.shape[1])
    distances[:, :kept] = best[:, :kept].numpy()
    indices[:, :kept] = index.gather(1, order)[:, :kept].numpy()
    indices[np.isinf(distances)] = -1
    return Alike(distances, indices, around)


def measure_aligned(queries: Tensor, references: Tensor, query: Tensor, reference: Tensor, shifts: Tensor) -> Tensor:
    """Distance float32 [p] in 0..2 of pairs of pixels, the reference moved by shift number `shifts`, int64 [p].

    queries, references: pixels [n, C, h, w] and [m, C, h, w]. query, reference: which make a pair, int64 [p]. Only
    what both show counts. Pictures without contrast there are alike among themselves, at 0, and unrelated to all
    others.
    """
    height, width = queries.shape[2:]
    reach, offsets = _reach(height, width), _offsets(height, width)
    distances = torch.empty(len(shifts))
    order = shifts.argsort(stable=True)
    numbers, counts = torch.unique_consecutive(shifts[order], return_counts=True)
    for number, pairs in zip(numbers.tolist(), order.split(counts.tolist()), strict=True):
        down, right = offsets[number]
        (top, other_top), (left, other_left) = _overlap(height, down, reach), _overlap(width, right, reach)
        one = queries[query[pairs]][:, :, top, left].float().flatten(1)
        other = references[reference[pairs]][:, :, other_top, other_left].float().flatten(1)
        distances[pairs] = _distance(one, other)
    return distances


def _describe(images: Tensor) -> Likenesses:
    height, width = (min(size, SIDE) for size in images.shape[2:])
    reach = _reach(height, width)
    blur_rows, blur_columns = _blur(images.shape[2], height, reach), _blur(images.shape[3], width, reach)
    blurred = blur_rows @ (images.float() / 255) @ blur_columns.T
    centred = blurred - blurred.mean(dim=(1, 2, 3), keepdim=True)
    spectrum = _spectra(centred)
    return Likenesses(
        centred.half(),
        spectrum.half(),
        _contrasts(spectrum, (height, width)).half(),
        _sign(centred, _windows(height, width)[:, : spectrum.shape[1] // centred.shape[1]])[:, 0].half(),
    )


def _spectra(pixels: Tensor) -> Tensor:
    """float32 [n, C * f * 2] of pixels [n, C, h, w]: real and imaginary parts side by side."""
    return (pixels.flatten(2) @ _waves(*pixels.shape[2:])).flatten(1)


def _contrasts(spectrum: Tensor, shape: tuple[int, int]) -> Tensor:
    """Standard deviation float32 [n, shifts] of the low frequencies in the centre, moved by each shift."""
    waves, centres = _waves(*shape), _centres(*shape)
    low = spectrum.unflatten(1, (-1, waves.shape[1])) * _weights(*shape) @ waves.T
    means = (low @ centres).mean(1)
    return ((low.square() @ centres).mean(1) - means.square()).clamp(min=0).sqrt()


def _cut_centre(pixels: Tensor) -> Tensor:
    """The centre alone, mean 0 and unit norm, 0 if it is flat; the rest is 0."""
    inside = _centre(*pixels.shape[2:])
    count = inside.sum() * pixels.shape[1]
    cut = (pixels - (pixels * inside).sum(dim=(1, 2, 3), keepdim=True) / count) * inside
    norm = torch.linalg.vector_norm(cut, dim=(1, 2, 3), keepdim=True)
    return cut / norm.clamp(min=FLAT * math.sqrt(count)) / math.sqrt(count)


def _sign(pixels: Tensor, windows: Tensor) -> Tensor:
    """Signatures float32 [n, w, C * f] in windows [h * w, w * 2 f], of unit norm: magnitudes of low frequencies.

    Magnitudes fall with the frequency; the roots and the factor let the small ones speak that tell pictures apart.
    """
    height, width = pixels.shape[2:]
    radii = _radii(height, width)
    spectra = (pixels.flatten(2) @ windows).unflatten(2, (-1, len(radii), 2))
    powers = spectra.square_().sum(4).transpose(1, 2)
    flat = powers.sum((2, 3)) < (FLAT * height * width) ** 2 / 4
    signatures = F.normalize((powers.sqrt() * radii).sqrt_().flatten(2), dim=2)
    # Flat pictures are alike, and on the other side of everything else.
    signatures[flat] = -1 / math.sqrt(signatures.shape[2])
    return signatures


def _screen(
    queries: Queries, references: Likenesses, limits: Tensor, own: Tensor | None, candidates: int
) -> tuple[Tensor, Tensor]:
    """Cosines float32 [n, 2, c] with, and indices of, the references nearest by signature, -inf for none.

    The second row is for the query's mirror image.
    """
    count = min(candidates, len(references))
    cosines = torch.full((len(queries), 2, count), -torch.inf)
    indices = torch.zeros(len(queries), 2, count, dtype=torch.int64)
    # References that every query sees, if they are many, are searched by the window in the middle alone.
    seen = int(limits.min()) if own is None else 0
    many = seen if seen >= MANY else 0
    for side, views in enumerate(queries.views):
        for start in range(0, len(queries), SCREENED):
            rows = slice(start, start + SCREENED)
            hidden = None if own is None else own[rows]
            best, index = _rank(views[rows], references.signatures[many:], limits[rows] - many, hidden, count)
            cosines[rows, side, : best.shape[1]] = best
            indices[rows, side, : best.shape[1]] = index + many
        if many:
            near, index = _search(views[:, 0], references.signatures[:many], count)
            both, order = torch.cat([near, cosines[:, side]], dim=1).topk(count, dim=1)
            cosines[:, side] = both
            indices[:, side] = torch.cat([index, indices[:, side]], dim=1).gather(1, order)
    return cosines, indices


def _search(views: Tensor, signatures: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The `count` highest cosines of views [n, d] with signatures [m, d], and whose they are: both of unit norm."""
    distances, indices = find_nearest(views, signatures, count)
    return 1 - torch.from_numpy(distances).square() / 2, torch.from_numpy(indices)


def _rank(views: Tensor, signatures: Tensor, limits: Tensor, own: Tensor | None, count: int) -> tuple[Tensor, Tensor]:
    """The `count` highest cosines of any view with each signature, and whose they are."""
    best, index = torch.empty(len(limits), 0), torch.empty(len(limits), 0, dtype=torch.int64)
    for start in range(0, min(len(signatures), int(limits.max())), REFERENCES):
        known = signatures[start : start + REFERENCES].float().T
        places = torch.arange(start, start + known.shape[1])
        cosines = views[:, 0] @ known
        for view in range(1, views.shape[1]):
            torch.maximum(cosines, views[:, view] @ known, out=cosines)
        if start + len(places) > int(limits.min()):
            cosines.masked_fill_(places >= limits[:, None], -torch.inf)
        if own is not None:
            cosines.masked_fill_(places == own[:, None], -torch.inf)
        top, place = cosines.topk(min(count, len(places)), dim=1)
        if start:
            top, order = torch.cat([best, top], dim=1).topk(count, dim=1)
            place = torch.cat([index - start, place], dim=1).gather(1, order)
        best, index = top, place + start
    return best, index


def _measure(
    queries: Queries, references: Likenesses, cosines: Tensor, found: Tensor, count: int
) -> tuple[Tensor, Tensor, np.ndarray]:
    """Distances [n, m] to, and indices of, the at most `count` candidates [n, 2, c] that correlate best; unsorted.

    And the AROUND-th one's distance [n], as its correlation has it.
    """
    turns = _turns(*queries.pixels.shape[2:])
    correlation, shift = torch.empty(found.shape), torch.empty_like(found)
    for start in range(0, len(queries), CORRELATED):
        rows = slice(start, start + CORRELATED)
        correlation[rows], shift[rows] = _correlate(queries.centres[rows], references, found[rows], turns)
    correlation = correlation.masked_fill_(cosines == -torch.inf, -torch.inf).flatten(1)
    shift, found = shift.flatten(1), found.flatten(1)
    places, bests = [], []
    for _ in range(max(count, AROUND)):
        best, place = correlation.max(dim=1, keepdim=True)
        places.append(place)
        bests.append(best)
        correlation.masked_fill_(found == found.gather(1, place), -torch.inf)
    fifth = bests[AROUND - 1][:, 0]
    around = (2 - 2 * fifth).clamp(min=0).sqrt()  # inf where there is none
    place, known = torch.cat(places[:count], dim=1), torch.cat(bests[:count], dim=1) > -torch.inf
    mirrored, index = place >= found.shape[1] // 2, found.gather(1, place)
    query = torch.arange(len(queries))[:, None].expand_as(place)
    distance = measure_aligned(
        queries.pixels,
        references.pixels,
        (query + mirrored * len(queries))[known],
        index[known],
        shift.gather(1, place)[known],
    )
    return torch.full(place.shape, torch.inf).masked_scatter_(known, distance), index, around.numpy()


def _correlate(centres: Tensor, references: Likenesses, found: Tensor, turns: Tensor) -> tuple[Tensor, Tensor]:
    """The correlation float32 [n, 2, c] of each candidate at the shift that suits it best, and that shift's number."""
    product = centres[:, :, None] * _as_complex(references.spectrum[found].float()).conj()
    product = torch.view_as_real(product).flatten(3)
    if channels := product.shape[3] // len(turns) - 1:
        product = product.unflatten(3, (channels + 1, -1)).sum(3)
    correlations = (product.flatten(0, 2) @ turns).view(*found.shape, -1)
    correlations /= references.contrasts[found].float().clamp_(min=FLAT)
    best, shift = correlations.max(dim=3)
    return best, shift


def _as_complex(spectrum: Tensor) -> Tensor:
    return torch.view_as_complex(spectrum.unflatten(-1, (-1, 2)))


def _mirror(spectrum: Tensor, shape: tuple[int, int]) -> Tensor:
    """The spectra float32 [n, C * f * 2] of the mirror images."""
    partner, conjugated = _partners(*shape)
    moved = spectrum.unflatten(1, (-1, len(partner), 2))[:, :, partner]
    signs = torch.stack([torch.ones(len(partner)), 1 - 2 * conjugated.float()], dim=1)
    return (moved * signs).flatten(1)


def _distance(one: Tensor, other: Tensor) -> Tensor:
    """Of rows [p, d]; the difference itself is measured, since 2 - 2 NCC has no digits left where it nears 0."""
    least = FLAT * math.sqrt(one.shape[1])
    one, other = one - one.mean(1, keepdim=True), other - other.mean(1, keepdim=True)
    norm, other_norm = (torch.linalg.vector_norm(x, dim=1, keepdim=True) for x in (one, other))
    difference = one.div_(norm.clamp(min=least)).sub_(other.div_(other_norm.clamp(min=least)))
    found = torch.linalg.vector_norm(difference, dim=1)
    flat, other_flat = (norm < least).flatten(), (other_norm < least).flatten()
    found[flat ^ other_flat] = UNRELATED
    found[flat & other_flat] = 0
    return found


def _overlap(size: int, shift: int, reach: int) -> tuple[slice, slice]:
    """Rows of the query and of the reference moved by `shift` that show the same, less what the blur fetched there."""
    if not shift:
        return slice(0, size), slice(0, size)
    low, high = max(shift, 0) + reach, size + min(shift, 0) - reach
    return slice(low, high), slice(low - shift, high - shift)


def _reach(height: int, width: int) -> int:
    return min(height, width) // BLURRED


@lru_cache(maxsize=16)
def _blur(size: int, shrunk: int, reach: int) -> Tensor:
    """The matrix [shrunk, size] that averages a line down to `shrunk` pixels and blurs it; the ends repeat."""
    averaged = F.adaptive_avg_pool1d(torch.eye(size), shrunk).T
    taps = torch.tensor([math.comb(2 * reach, k) / 4**reach for k in range(2 * reach + 1)])
    places = (torch.arange(shrunk)[:, None] + torch.arange(-reach, reach + 1)).clamp(0, shrunk - 1)
    return torch.zeros(shrunk, shrunk).scatter_add_(1, places, taps.expand(shrunk, -1)) @ averaged


@lru_cache(maxsize=16)
def _frequencies(height: int, width: int) -> tuple[tuple[int, int], ...]:
    """(down, right) in cycles a picture, one of each pair of opposite ones, (0, 0) among them: colours differ in it."""
    most = min(CYCLES, (height - 1) // 2), min(CYCLES, (width - 1) // 2)
    return tuple(
        (u, v)
        for u in range(-most[0], most[0] + 1)
        for v in range(most[1] + 1)
        if (v or u >= 0) and u * u + v * v <= CYCLES**2
    )


@lru_cache(maxsize=16)
def _waves(height: int, width: int) -> Tensor:
    """[h * w, 2 f]: pixels times this are their spectrum. Angles are measured from the picture's centre."""
    down = (torch.arange(height) - (height - 1) / 2)[:, None] / height
    right = (torch.arange(width) - (width - 1) / 2) / width
    angles = [2 * math.pi * (u * down + v * right).flatten() for u, v in _frequencies(height, width)]
    return torch.stack([wave for angle in angles for wave in (angle.cos(), -angle.sin())], dim=1)


@lru_cache(maxsize=16)
def _partners(height: int, width: int) -> tuple[Tensor, Tensor]:
    """Which frequency stands in each one's place in the mirror image, int64 [f], and whether conjugated, bool [f]."""
    frequencies = _frequencies(height, width)
    place = {frequency: i for i, frequency in enumerate(frequencies)}
    moved = [place[(-u, v) if v else (u, v)] for u, v in frequencies]
    return torch.tensor(moved), torch.tensor([v > 0 for _, v in frequencies])


@lru_cache(maxsize=16)
def _offsets(height: int, width: int) -> tuple[tuple[int, int], ...]:
    """Every shift (down, right) in pixels, in the order of their numbers."""
    most = min(height, width) // SHIFTED
    return tuple((down, right) for down in range(-most, most + 1) for right in range(-most, most + 1))


@lru_cache(maxsize=16)
def _turns(height: int, width: int) -> Tensor:
    """[2 f, shifts]: a query's spectrum times a reference's conjugate and this is their correlation at each shift."""
    shifts = torch.tensor(_offsets(height, width), dtype=torch.float32)
    cycles = torch.tensor(_frequencies(height, width)) / torch.tensor([height, width])
    angles = 2 * math.pi * cycles @ shifts.T
    return torch.stack([angles.cos(), -angles.sin()], dim=1).flatten(0, 1) * _weights(height, width)[:, None]


@lru_cache(maxsize=16)
def _weights(height: int, width: int) -> Tensor:
    """[2 f]: what a product of spectra counts; each stands for its opposite too, which (0, 0) has not."""
    counts = [1 + (frequency != (0, 0)) for frequency in _frequencies(height, width)]
    return torch.tensor(counts).repeat_interleave(2) / (height * width)


@lru_cache(maxsize=16)
def _centre(height: int, width: int) -> Tensor:
    """1 in the pixels [h, w] that stay in the picture at every shift, 0 elsewhere."""
    most = min(height, width) // SHIFTED
    inside = torch.zeros(height, width)
    inside[most : height - most, most : width - most] = 1
    return inside


@lru_cache(maxsize=16)
def _centres(height: int, width: int) -> Tensor:
    """[h * w, shifts]: pixels times this are the means over the centre of the picture moved by each shift."""
    inside = _centre(height, width)
    moved = [torch.roll(inside, (-down, -right), (0, 1)).flatten() for down, right in _offsets(height, width)]
    return torch.stack(moved, dim=1) / inside.sum()


@lru_cache(maxsize=16)
def _radii(height: int, width: int) -> Tensor:
    return torch.tensor(_frequencies(height, width), dtype=torch.float32).norm(dim=1)


@lru_cache(maxsize=16)
def _windows(height: int, width: int) -> Tensor:
    """[h * w, windows * 2 f]: pixels times this are their spectra in each window, its mean taken out.

    A window is half a sine wave across the centre, first in its place, then moved four ways.
    """
    most = min(height, width) // SHIFTED
    step = math.ceil(most / 2)
    moves = [(0, 0)] + [(down, right) for down in (-step, step) for right in (-step, step) if step]
    waves, made = _waves(height, width), []
    for down, right in moves:
        window = (_half_wave(height, most, down)[:, None] * _half_wave(width, most, right)).flatten()
        made.append(window[:, None] * (waves - window @ waves / window.sum()))
    return torch.cat(made, dim=1)


def _half_wave(size: int, margin: int, moved: int) -> Tensor:
    places, inner = torch.arange(size) + 0.5 - margin - moved, size - 2 * margin
    return torch.sin(math.pi * places / inner) * ((places > 0) & (places < inner))
