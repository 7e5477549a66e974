"""How fast exact neighbours are found: beside faiss-cpu's Flat index and scikit-learn.

Random rows, one thread on one core, both widths that features here have. The float32 matrix product of the same size,
made in pieces that suit the processor, says what share of the machine is used. faiss-cpu comes with the extra `bench`;
without it its rows say "not installed" and the ratios to it are left out.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from threadpoolctl import threadpool_limits

from benchmarks.parts.harness import Row, interleave, use_cores, write_result
from ops.neighbours.search import find_nearest

WIDTHS = (128, 512)
REFERENCES, QUERIES = 20_000, 8_000
NEIGHBOURS = (1, 5)
REPEATS = 5
PIECE = 1_000  # rows and columns of a piece of the plain product
OURS, FP32, FAISS, SKLEARN, PRODUCT = "growset", "growset, fp32", "faiss-cpu Flat", "scikit-learn", "fp32 product"


def run(references: int = REFERENCES, queries: int = QUERIES, *, repeats: int = REPEATS) -> Path:
    """Measure, write results/neighbours.json."""
    rows: list[Row] = []
    ratios: dict[str, float] = {}
    shares, against = [], []
    with use_cores(1), threadpool_limits(1):
        for width in WIDTHS:
            for k in NEIGHBOURS:
                seconds = interleave(list_sides(references, queries, width, k), repeats=repeats)
                case = f"{queries:,} x {references:,}, d = {width}, k = {k}"
                pairs = references * queries / 1e9
                rows += [Row(f"{case}: {side}", round(pairs / s, 3), "Gpairs/s") for side, s in seconds.items()]
                shares.append(seconds[PRODUCT] / seconds[OURS])
                rows.append(Row(f"{case}: share of the fp32 product", round(shares[-1], 3), "ratio"))
                rows.append(Row(f"{case}: share, in fp32", round(seconds[PRODUCT] / seconds[FP32], 3), "ratio"))
                ratios[f"knn_vs_sklearn_d{width}_k{k}"] = seconds[SKLEARN] / seconds[OURS]
                if FAISS in seconds:
                    against.append(seconds[FAISS] / seconds[OURS])
                    ratios[f"knn_vs_faiss_flat_d{width}_k{k}"] = against[-1]
                    ratios[f"knn_fp32_vs_faiss_flat_d{width}_k{k}"] = seconds[FAISS] / seconds[FP32]
                else:
                    rows.append(Row(f"{case}: {FAISS}", None, "not installed"))
    if against:
        ratios["knn_vs_faiss_flat"] = min(against)
    ratios["knn_share_of_fp32_product"] = min(shares)
    return write_result("neighbours", rows, ratios)


def list_sides(references: int, queries: int, width: int, k: int) -> dict[str, Callable[[], object]]:
    """What is timed, by name; all sides find the neighbours of the same rows, except the plain product."""
    from sklearn.neighbors import NearestNeighbors

    random = torch.Generator().manual_seed(width)
    known = torch.randn(references, width, generator=random)
    asked = torch.randn(queries, width, generator=random)
    brute = NearestNeighbors(n_neighbors=k, algorithm="brute").fit(known.numpy())
    room = torch.empty(PIECE, PIECE)

    def multiply() -> None:
        for left in asked.split(PIECE):
            for right in known.split(PIECE):
                torch.mm(left, right.T, out=room[: len(left), : len(right)])

    sides: dict[str, Callable[[], object]] = {
        OURS: lambda: find_nearest(asked, known, k),
        FP32: lambda: find_nearest(asked, known, k, precision="fp32"),
        SKLEARN: lambda: brute.kneighbors(asked.numpy()),
        PRODUCT: multiply,
    }
    if find_spec("faiss"):
        import faiss

        faiss.omp_set_num_threads(1)
        index = faiss.IndexFlatL2(width)
        index.add(known.numpy())
        sides[FAISS] = lambda: index.search(asked.numpy(), k)
        agree = np.mean(index.search(asked.numpy(), k)[1] == find_nearest(asked, known, k)[1])
        assert agree > 0.999, "faiss computes in float32 and may order near ties otherwise, no more"
    return sides
