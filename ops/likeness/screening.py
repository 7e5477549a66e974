"""Which of many pictures may be the same as a given one: the candidates, chosen by their signatures.

Signatures are rows of unit norm; how they are computed is not known here. A query has w signatures, one for each
window, as if it had been moved or turned a little. Every pair is compared:
the time grows with n m w.

Symbols: n queries, m references, w windows, d coordinates of a signature, the first e of them even: the mirror image
has the same ones, and the others negated.
"""

from __future__ import annotations

import torch
from torch import Tensor

QUERIES_AT_ONCE = 128  # with ...
REFERENCES_AT_ONCE = 1024  # ... so many references: their products stay in a core's cache


def screen(
    window_signatures: Tensor, signatures: Tensor, even: int, limits: Tensor, own: Tensor | None, candidates: int
) -> tuple[Tensor, Tensor]:
    """Cosines float32 [n, 2, c] with, and indices of, the references nearest by signature; -inf where there are fewer.

    Side 0 of the second axis is the query, side 1 its mirror image. window_signatures: float32 [n, w, d].
    signatures: [m, d], of the references. even: e. limits: int64 [n]; a query is compared only with references below
    its limit. own: int64 [n], a reference that the query is not compared with. candidates: c, at most m.
    """
    count = min(candidates, len(signatures))
    cosines = torch.full((len(limits), 2, count), -torch.inf)
    indices = torch.zeros(len(limits), 2, count, dtype=torch.int64)
    for start in range(0, len(limits), QUERIES_AT_ONCE):
        rows = slice(start, start + QUERIES_AT_ONCE)
        hidden = None if own is None else own[rows]
        best, index = _rank(window_signatures[rows], signatures, even, limits[rows], hidden, count)
        cosines[rows, :, : best.shape[2]] = best
        indices[rows, :, : best.shape[2]] = index
    return cosines, indices


def _rank(
    window_signatures: Tensor, signatures: Tensor, even: int, limits: Tensor, own: Tensor | None, count: int
) -> tuple[Tensor, Tensor]:
    """The `count` highest cosines [n, 2, c] over all windows, and the references they belong to."""
    best, index = torch.empty(len(limits), 2, 0), torch.empty(len(limits), 2, 0, dtype=torch.int64)
    for start in range(0, min(len(signatures), int(limits.max())), REFERENCES_AT_ONCE):
        known = signatures[start : start + REFERENCES_AT_ONCE].float().T
        places = torch.arange(start, start + known.shape[1])
        # Cosine = even part + odd part; with the mirror image it is even part - odd part. Best over the windows.
        cosines = torch.full((2, len(limits), len(places)), -torch.inf)
        even_part, odd_part, both = torch.empty(3, len(limits), len(places)).unbind()
        for window in window_signatures.unbind(1):
            torch.mm(window[:, :even], known[:even], out=even_part)
            torch.mm(window[:, even:], known[even:], out=odd_part)
            torch.maximum(cosines[0], torch.add(even_part, odd_part, out=both), out=cosines[0])
            torch.maximum(cosines[1], torch.sub(even_part, odd_part, out=both), out=cosines[1])
        # Hide the references that a query must not be compared with.
        if start + len(places) > int(limits.min()):
            cosines.masked_fill_(places >= limits[:, None], -torch.inf)
        if own is not None:
            cosines.masked_fill_(places == own[:, None], -torch.inf)
        # Keep the highest of this block and of those before it.
        top, place = cosines.transpose(0, 1).topk(min(count, len(places)), dim=2)
        if start:
            top, order = torch.cat([best, top], dim=2).topk(count, dim=2)
            place = torch.cat([index - start, place], dim=2).gather(2, order)
        best, index = top, place + start
    return best, index
