"""Which of many pictures may be the same as a given one: the candidates, chosen by their signatures.

Signatures are rows of unit norm; what they are made of is not known here. A picture is looked for by several views of
it, each as it would sign if it were moved a little, however many there are: the time grows with their number.
"""

from __future__ import annotations

import torch
from torch import Tensor

SCREENED = 128  # queries, with ...
REFERENCES = 1024  # ... so many references at once: their products stay near the core


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
    for start in range(0, len(limits), SCREENED):
        rows = slice(start, start + SCREENED)
        hidden = None if own is None else own[rows]
        best, index = _rank(views[rows], signatures, even, limits[rows], hidden, count)
        cosines[rows, :, : best.shape[2]] = best
        indices[rows, :, : best.shape[2]] = index
    return cosines, indices


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
