"""Which of many pictures may be the same as a given one: the candidates, chosen by their signatures.

Signatures are rows of unit norm; what they are made of is not known here. A picture is looked for by several views of
it, each as it would sign if it were moved a little. Among MANY references and more the first view alone is asked: five
times as fast, and of copies that were moved by two pixels of 28 it misses a third.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ops.neighbours.search import find_nearest

SCREENED = 128  # queries, with ...
REFERENCES = 1024  # ... so many references at once: their products stay near the core
MANY = 65_536  # references from which on the first view alone is asked


def screen(
    views: Tensor, signatures: Tensor, even: int, limits: Tensor, own: Tensor | None, candidates: int
) -> tuple[Tensor, Tensor]:
    """Cosines float32 [n, 2, c] with, and indices of, the references nearest by signature, -inf for none.

    views: float32 [n, w, d] of n pictures. signatures: [m, d]. The second row is for their mirror images, whose
    signatures are theirs with all but the first `even` coordinates negated: both come from the same two products.
    limits: int64 [n], a picture sees only references below its own. own: int64 [n], the one that it does not see.
    candidates: how many for each at most, c.
    """
    count = min(candidates, len(signatures))
    cosines = torch.full((len(limits), 2, count), -torch.inf)
    indices = torch.zeros(len(limits), 2, count, dtype=torch.int64)
    # What every picture sees can be searched for all of them at once.
    seen = int(limits.min()) if own is None else 0
    many = seen if seen >= MANY else 0
    for start in range(0, len(limits), SCREENED):
        rows = slice(start, start + SCREENED)
        hidden = None if own is None else own[rows]
        best, index = _rank(views[rows], signatures[many:], even, limits[rows] - many, hidden, count)
        cosines[rows, :, : best.shape[2]] = best
        indices[rows, :, : best.shape[2]] = index + many
    if many:
        signs = torch.ones(signatures.shape[1])
        for side in range(2):
            near, index = _search(views[:, 0] * signs, signatures[:many], count)
            both, order = torch.cat([near, cosines[:, side]], dim=1).topk(count, dim=1)
            indices[:, side] = torch.cat([index, indices[:, side]], dim=1).gather(1, order)
            cosines[:, side] = both
            signs[even:] = -1
    return cosines, indices


def _search(views: Tensor, signatures: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The `count` highest cosines of views [n, d] with signatures [m, d], and whose they are: both of unit norm."""
    distances, indices = find_nearest(views, signatures, count)
    return 1 - torch.from_numpy(distances).square() / 2, torch.from_numpy(indices)


def _rank(
    views: Tensor, signatures: Tensor, even: int, limits: Tensor, own: Tensor | None, count: int
) -> tuple[Tensor, Tensor]:
    """The `count` highest cosines [n, 2, c] of any view with each signature, and whose they are."""
    best, index = torch.empty(len(limits), 2, 0), torch.empty(len(limits), 2, 0, dtype=torch.int64)
    for start in range(0, min(len(signatures), int(limits.max())), REFERENCES):
        known = signatures[start : start + REFERENCES].float().T
        places = torch.arange(start, start + known.shape[1])
        cosines = torch.full((2, len(limits), len(places)), -torch.inf)
        shared, opposed, both = torch.empty(3, len(limits), len(places)).unbind()
        for view in views.unbind(1):
            torch.mm(view[:, :even], known[:even], out=shared)
            torch.mm(view[:, even:], known[even:], out=opposed)
            torch.maximum(cosines[0], torch.add(shared, opposed, out=both), out=cosines[0])
            torch.maximum(cosines[1], torch.sub(shared, opposed, out=both), out=cosines[1])
        if start + len(places) > int(limits.min()):
            cosines.masked_fill_(places >= limits[:, None], -torch.inf)
        if own is not None:
            cosines.masked_fill_(places == own[:, None], -torch.inf)
        top, place = cosines.transpose(0, 1).topk(min(count, len(places)), dim=2)
        if start:
            top, order = torch.cat([best, top], dim=2).topk(count, dim=2)
            place = torch.cat([index - start, place], dim=2).gather(2, order)
        best, index = top, place + start
    return best, index
