"""How fast exact neighbours are found: beside faiss-cpu's Flat index and scikit-learn, a million rows, and clusters.

Random rows, one thread on one core, both widths that features here have. The float32 matrix product of the same size,
made in pieces that suit the processor, says what share of the machine is used. Deduplication of a million rows runs in
a process of its own on all cores, whose peak memory is the operating system's figure. faiss-cpu comes with the extra
`bench`; without it its rows say "not installed" and the ratios to it are left out.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
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
MILLION, CLASSES = 1_000_000, 10
CLUSTERED = 500_000
COPIES = 0.01  # of the rows repeat an earlier one, with a little noise

# In a process of its own. Rows are features of a kind: 16 directions that vary much, the rest little; then copies.
PROCESS = """
import json, re, sys, time
from pathlib import Path
import numpy as np
import torch
from ops.neighbours.clusters import Clustering
from ops.neighbours.earlier import find_earlier
from ops.machine.parallel import limit_libraries
count, classes, limit, share = int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
limit_libraries()
random = torch.Generator().manual_seed(0)
spread = torch.cat([torch.ones(16), torch.full((112,), 0.1)])
rows = torch.empty(count, 128)
for part in rows.split(10_000):
    part.normal_(generator=random).mul_(spread)
groups = np.arange(count) % classes
copies = int(count * share) // classes * classes
rows[count - copies:] = rows[:copies]
rows[count - copies:] += 1e-3 * torch.randn(copies, 128, generator=random)
started = time.perf_counter()
found = find_earlier(rows, groups, limit=limit)
seconds = time.perf_counter() - started
originals = np.arange(copies) if count % classes == 0 else np.full(copies, -1)
# Not getrusage, whose peak is also that of the process which started this one.
peak = int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) / 2**20
print(json.dumps({
    "seconds": seconds,
    "memory": peak,
    "copies": float((found.indices[count - copies:] == originals).mean()) if copies else 1.0,
    "recall": min(found.recalls.values(), default=1.0),
}))
"""


@dataclass(frozen=True)
class Deduplication:
    """What one process found. memory: peak gigabytes. copies, recall: shares."""

    seconds: float
    memory: float
    copies: float
    recall: float


def run(
    references: int = REFERENCES,
    queries: int = QUERIES,
    *,
    repeats: int = REPEATS,
    million: int = MILLION,
    clustered: int = CLUSTERED,
) -> Path:
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
    found = deduplicate(million, CLASSES, million)
    name = f"nearest earlier row, {million:,} x 128 in {CLASSES} classes"
    rows += [
        Row(name, round(found.seconds, 1), "s on all cores"),
        Row(f"{name}, memory", round(found.memory, 2), "GB, with the rows"),
        Row(f"{name}, planted copies found", round(found.copies, 4), "share"),
    ]
    exact, near = deduplicate(clustered, 1, clustered), deduplicate(clustered, 1, 1)
    name = f"nearest earlier row, {clustered:,} x 128 in one class"
    for way, result in (("exact", exact), ("clusters", near)):
        rows += [
            Row(f"{name}, {way}", round(result.seconds, 1), "s on all cores"),
            Row(f"{name}, {way}, memory", round(result.memory, 2), "GB, with the rows"),
            Row(f"{name}, {way}, planted copies found", round(result.copies, 4), "share"),
        ]
    rows.append(Row(f"{name}, clusters, recall", round(near.recall, 4), "share of sampled rows"))
    ratios["clusters_vs_exact"] = exact.seconds / near.seconds
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


def deduplicate(count: int, classes: int, limit: int) -> Deduplication:
    """The nearest earlier row of random features with planted copies, in a process of its own on all cores."""
    arguments = [str(value) for value in (count, classes, limit, COPIES)]
    done = subprocess.run([sys.executable, "-c", PROCESS, *arguments], capture_output=True, text=True, check=True)
    return Deduplication(**json.loads(done.stdout.splitlines()[-1]))
