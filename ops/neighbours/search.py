"""The exact nearest rows of one set for each row of another. It knows nothing of images, labels or thresholds."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

Rows = Tensor | np.ndarray
BLOCK = 1024


def find_nearest(
    queries: Rows, references: Rows, k: int = 1, *, exclude_self: bool = False, precision: str = "auto"
) -> tuple[np.ndarray, np.ndarray]:
    """Euclidean distances float32 [n, k], ascending, and indices int64 [n, k] of each query's k nearest references.

    queries [n, d] and references [m, d] hold any float type, which is taken as float32. The distance of a pair is
    that of its differences in float64, rounded to float32; of equal distances the lower index comes first. With
    `exclude_self` both are the same set and row i is not its own neighbour. ValueError for other shapes, a k that
    is below 1 or above the number of references, or a value that is not finite.
    """
    queries, references = (torch.as_tensor(rows).float() for rows in (queries, references))
    if queries.ndim != 2 or references.ndim != 2 or queries.shape[1] != references.shape[1]:
        raise ValueError(
            f"queries {list(queries.shape)} and references {list(references.shape)} must be [n, d], [m, d]"
        )
    if exclude_self and len(queries) != len(references):
        raise ValueError(f"{len(queries)} queries and {len(references)} references are not the same set")
    if not 1 <= k <= len(references) - exclude_self:
        raise ValueError(f"k is {k}; {len(references) - exclude_self} references allow 1 to that many")
    if precision not in ("auto", "fp32", "bf16"):
        raise ValueError(f"precision '{precision}' is none of auto, fp32, bf16")
    if not (queries.isfinite().all() and references.isfinite().all()):
        raise ValueError("queries or references hold values that are not finite")
    distances, indices = np.empty((len(queries), k), np.float32), np.empty((len(queries), k), np.int64)
    for start in range(0, len(queries), BLOCK):
        block = queries[start : start + BLOCK].double()
        best = torch.empty(len(block), 0)
        index = torch.empty(len(block), 0, dtype=torch.int64)
        for begin in range(0, len(references), BLOCK):
            part = references[begin : begin + BLOCK].double()
            found = torch.cdist(block, part, compute_mode="donot_use_mm_for_euclid_dist").float()
            if exclude_self and start == begin:
                found.fill_diagonal_(torch.inf)
            best = torch.cat([best, found], dim=1)
            index = torch.cat([index, torch.arange(begin, begin + len(part)).expand(len(block), -1)], dim=1)
            best, order = best.sort(dim=1, stable=True)
            best, index = best[:, :k], index.gather(1, order[:, :k])
        distances[start : start + BLOCK], indices[start : start + BLOCK] = best.numpy(), index.numpy()
    return distances, indices
