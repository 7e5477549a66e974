"""The augmentation graph of a toy whose truth is known: two Gaussians in the plane, views moved within a disc.

HaoChen et al. 2021, *Provable Guarantees for Self-Supervised Deep Learning with Spectral Contrastive Loss*: the nodes
are views, an edge weighs w(x, x') = mean over samples s of A(x|s)·A(x'|s), and p(x) = mean of A(x|s) is a node's
degree. A(x|s), the density of the views of s, is even over the disc of radius r around s (toy of Wang et al. 2024, *Do
Generated Data Always Help Contrastive Learning?*). Eigenvalues λ₁ ≤ λ₂ ≤ … are those of the normalised Laplacian,
I − w(x, x') / √(p(x)·p(x')).

There are infinitely many views, but n samples. With B(s, x) = A(x|s) / √(n·p(x)) the normalised weights are BᵀB, so
BBᵀ has the same eigenvalues but for zeros. It is n × n, and its entries are

    K(s, t) = ∫ A(x|s)·A(x|t) / Σ_u A(x|u) dx,

the chance that a walk from s to one of its views, and on to a sample which has that view, ends in t. So λ_{k+1} is 1
less the (k+1)-th largest eigenvalue of K, for all k < n. A view that many discs cover is shared by as many samples.
Areas of overlap, which have a closed form, therefore give K only where no more than two discs overlap; normalised by
their own sums they give another spectrum. So the plane is divided into cells of one width, whose middles are the
views, which makes a graph of its own with an exact K. It comes near that of all views as the cells become smaller.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import LinearOperator, eigsh

Floats = npt.NDArray[np.float64]

VARIANCE = 0.7  # of each coordinate
CENTRE = 1.0  # the classes lie around (-1, 0) and (1, 0)
ACROSS = 8  # cells from a disc's middle to its edge: about 200 views of a sample
SMALL = 64  # samples up to which the whole matrix is made
TOLERANCE = 1e-9  # of the other eigenvalues
KRYLOV = 40  # vectors that Lanczos keeps, at least


def draw_samples(count: int, rng: np.random.Generator) -> Floats:
    """Samples float64 [count, 2], of the left and the right class in turn. The first of many are those of few."""
    samples = math.sqrt(VARIANCE) * rng.standard_normal((count, 2))
    samples[::2, 0] -= CENTRE
    samples[1::2, 0] += CENTRE
    return samples


def find_eigenvalues(samples: Floats, radius: float, count: int, *, across: int = ACROSS) -> Floats:
    """λ₁ ≤ λ₂ ≤ … of the graph, the first `count` of them, float64 [count] in 0..1; λ₁ is 0.

    samples: float64 [n, 2]. radius: r > 0. count: 1 to n, otherwise ValueError. across: cells in a radius. As many
    eigenvalues are 0 as the graph has components; samples of one have a chain of shared views between them.
    """
    if not 1 <= count <= len(samples):
        raise ValueError(f"{len(samples)} samples have no {count} eigenvalues; allowed: 1 to as many as samples")
    walks = spread_views(samples, radius, across)
    components, of_node = connected_components(sparse.block_array([[None, walks], [walks.T, None]]), directed=False)
    if components >= count:
        return np.zeros(count)
    of_sample = of_node[: len(samples)]
    parts = [_decompose(walks[np.flatnonzero(of_sample == number)], count) for number in range(components)]
    return np.asarray(np.sort(np.concatenate(parts))[:count])


def spread_views(samples: Floats, radius: float, across: int = ACROSS) -> sparse.csr_array:
    """B, float64 [n, views]: A(x|s) / √(n·p(x)) where the cell x lies in the disc of s, which has equally many chances
    in each of its cells."""
    width = radius / across
    reach = np.arange(-across - 1, across + 2)
    near = np.stack(np.meshgrid(reach, reach, indexing="ij"), axis=-1).reshape(-1, 2)
    near = near[np.hypot(*near.T) < across + 1]  # a cell's middle is at most √½ away from where its sample could be
    cells = np.floor(samples / width).astype(np.int64)[:, None] + near
    inside = np.square((cells + 0.5) * width - samples[:, None]).sum(axis=-1) < radius**2
    rows, places = np.nonzero(inside)[0], cells[inside]
    places -= places.min(axis=0)
    views, columns = np.unique(places[:, 0] * (places[:, 1].max() + 1) + places[:, 1], return_inverse=True)
    chances = 1 / np.bincount(rows)[rows]
    degrees = np.bincount(columns, chances)  # n·p
    return sparse.csr_array((chances / np.sqrt(degrees[columns]), (rows, columns)), shape=(len(samples), len(views)))


def _decompose(walks: sparse.csr_array, count: int) -> Floats:
    """The smallest eigenvalues of one component, at most `count`. Of a component exactly one is 0, and it is simple, so
    that Lanczos finds its neighbours."""
    size = walks.shape[0]
    number = min(count, size)
    if size <= max(SMALL, 3 * count):
        largest = np.linalg.eigvalsh((walks @ walks.T).toarray())[-number:]
    else:
        back = walks.T.tocsr()
        walk = LinearOperator((size, size), matvec=lambda vector: walks @ (back @ vector), dtype=np.float64)
        start = np.random.default_rng(0).standard_normal(size)
        kept = min(size, max(KRYLOV, 3 * number))
        largest = eigsh(walk, number, which="LA", ncv=kept, tol=TOLERANCE, v0=start, return_eigenvectors=False)
    found = np.clip(1 - np.sort(largest)[::-1], 0.0, 1.0)
    found[0] = 0.0
    return np.asarray(found)
