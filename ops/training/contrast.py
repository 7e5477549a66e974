"""Losses that learn from two views of each image without labels, as functions of tensors.

Copies of one image are never negatives of each other: where an image's `ids` says that another row shows the same
image, that row is left out of the comparison. (In the published code of AdaInf they are negatives.) The module does not
know networks, images or where the vectors come from.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

SCALE, OFF_DIAGONAL = 0.1, 0.0051  # of Barlow Twins' loss, as AdaInf trains it (Wang et al. 2024)
TINY = 1e-5  # added to a variance, as in batch normalisation


def find_nt_xent(compared: Tensor, temperature: float, ids: Tensor | None = None) -> Tensor:
    """NT-Xent, SimCLR's loss (Chen et al. 2020, eq. 1); a scalar in nats.

    The mean over all views of -log of the softmax of its cosines with all other views, divided by the temperature, at
    its own other view.

    Parameters
    ----------
    compared : float [2n, d]; rows i and n + i are the views of one image.
    ids : int64 [n]; rows with equal ids are copies of one image, and are no negatives. None: all images differ.
    """
    unit = F.normalize(compared, dim=1)
    # s_ij = cos(z_i, z_j) / τ, and no view is compared with itself.
    s = (unit @ unit.T / temperature).fill_diagonal_(-torch.inf)
    partner = torch.arange(len(s), device=s.device).roll(len(s) // 2)
    if ids is not None:
        both = torch.cat([ids, ids])
        copies = both[:, None] == both[None, :]
        copies[torch.arange(len(s), device=s.device), partner] = False
        s = s.masked_fill(copies, -torch.inf)
    return F.cross_entropy(s, partner)


def find_info_nce(
    queries: Tensor, keys: Tensor, queue: Tensor, temperature: float, ids: Tensor, queue_ids: Tensor
) -> Tensor:
    """InfoNCE with a queue, MoCo's loss (He et al. 2020, eq. 1); a scalar in nats.

    The mean over queries of -log of the softmax of cosines / τ with its own key and all keys of the queue, at its own.

    Parameters
    ----------
    queries, keys : float [n, d]; row i of both are views of one image. queue : float [q, d], q may be 0.
    ids, queue_ids : int64 [n] and [q], which image each query and each key of the queue shows. A query is not compared
        with keys of its own image in the queue.
    """
    queries, keys, queue = (F.normalize(rows, dim=1) for rows in (queries, keys, queue))
    own = (queries * keys).sum(dim=1, keepdim=True)
    others = (queries @ queue.T).masked_fill(ids[:, None] == queue_ids[None, :], -torch.inf)
    logits = torch.cat([own, others], dim=1) / temperature
    return F.cross_entropy(logits, torch.zeros(len(logits), dtype=torch.int64, device=logits.device))


def find_regression(predicted: Tensor, wanted: Tensor) -> Tensor:
    """BYOL's loss (Grill et al. 2020, eq. 2): the mean of 2 - 2 cos between predictions and targets, float [n, d]."""
    return 2 - 2 * F.cosine_similarity(predicted, wanted, dim=1).mean()


def find_redundancy(one: Tensor, other: Tensor, scale: float = SCALE, off_diagonal: float = OFF_DIAGONAL) -> Tensor:
    """Barlow Twins' loss (Zbontar et al. 2021, eq. 1) of two views' vectors, float [n, d] each, n at least 2; a scalar.

    C is the correlation over the batch of every number of one view with every number of the other. The loss is
    scale · (Σ_i (1 - C_ii)² + λ Σ_{i≠j} C_ij²).
    """
    one, other = ((rows - rows.mean(dim=0)) / (rows.var(dim=0, unbiased=False) + TINY).sqrt() for rows in (one, other))
    c = one.T @ other / len(one)
    diagonal = c.diagonal()
    rest = c.square().sum() - diagonal.square().sum()
    return scale * ((1 - diagonal).square().sum() + off_diagonal * rest)
