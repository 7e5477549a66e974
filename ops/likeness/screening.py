"""Which of many pictures may be the same as a given one: the candidates, chosen by their signatures.

Signatures are rows of unit norm; what they are made of is not known here. A picture is looked for by several views of
it, each as it would sign if it were moved a little. Among MANY references and more the first view alone is asked: five
times as fast, and of copies that were moved by two pixels of 28 it misses a third.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ops.neighbours.search import find_nearest

SCREENED = 256  # queries, with ...
REFERENCES = 4096  # ... so many references at once: their products stay near the core
MANY = 65_536  # references from which on the first view alone is asked


def screen(
    views: Sequence[Tensor], signatures: Tensor, limits: Tensor, own: Tensor | None, candidates: int
) -> tuple[Tensor, Tensor]:
    """Cosines float32 [n, 2, c] with, and indices of, the references nearest by signature, -inf for none.

    views: float32 [n, w, d] of n pictures and of their mirror images, which the second row is for. signatures: [m, d].
    limits: int64 [n], a picture sees only references below its own. own: int64 [n], the one that it does not see.
    candidates: how many for each at most, c.
    """
    count = min(candidates, len(signatures))
    cosines = torch.full((len(limits), 2, count), -torch.inf)
    indices = torch.zeros(len(limits), 2, count, dtype=torch.int64)
    # What every picture sees can be searched for all of them at once.
    seen = int(limits.min()) if own is None else 0
    many = seen if seen >= MANY else 0
    for side, looks in enumerate(views):
        for start in range(0, len(limits), SCREENED):
            rows = slice(start, start + SCREENED)
            hidden = None if own is None else own[rows]
            best, index = _rank(looks[rows], signatures[many:], limits[rows] - many, hidden, count)
            cosines[rows, side, : best.shape[1]] = best
            indices[rows, side, : best.shape[1]] = index + many
        if many:
            near, index = _search(looks[:, 0], signatures[:many], count)
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
