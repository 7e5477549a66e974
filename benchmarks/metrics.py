"""Seconds for the metrics of 10,000 generated against 10,000 held-out images in 128 features, beside what people use.

Made-up features of 24 hidden dimensions, not negative, as a pooled layer's are; training images are as many. The whole
table is FD, KID, precision, recall, density, coverage, authenticity and Vendi score with their intervals, once with and
once without the same of real images beside them. `prdc` is its authors' package as it is; the distance by `sqrtm` is
the textbook's, numpy's covariances and scipy's root of their product. Both sides must agree before anything is timed.
"""

from __future__ import annotations

import contextlib
import io
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch

from benchmarks.parts.harness import Row, interleave, use_cores, write_result
from ops.machine.parallel import available_cores
from ops.metrics.frechet import estimate_frechet, fit_gaussian, frechet_distance
from ops.metrics.kernel import estimate_kernel_distance, fit_kernel
from ops.metrics.manifold import NEIGHBOURS, compare_manifolds, fit_manifold
from ops.metrics.random_network import embed_images
from ops.metrics.set_quality import Labels, NetworkFeatures, measure_set

COUNT, FEATURES, HIDDEN, CLASSES = 10_000, 128, 24, 10
SIDE = 28
CORES = 2
REPEATS = 3


def run(count: int = COUNT, *, repeats: int = REPEATS) -> Path:
    """Check that both sides agree, time them interleaved, write results/metrics.json."""
    held_out, train, generated = make_features(count)
    labels = np.arange(count) % CLASSES
    images = torch.randint(0, 256, (count, 1, SIDE, SIDE), dtype=torch.uint8)

    def measure_table(unseen: np.ndarray | None) -> None:
        view = NetworkFeatures(held_out, train, generated, unseen)
        measure_set([view], Labels(labels, labels, labels), extractor="made_up", limit=count)

    def overlap() -> dict[str, float]:
        return asdict(compare_manifolds(fit_manifold(held_out), fit_manifold(generated)))

    def distance() -> float:
        return frechet_distance(fit_gaussian(held_out), fit_gaussian(generated))

    sides = {
        "whole table": lambda: measure_table(np.ones(count, bool)),
        "whole table without real images": lambda: measure_table(None),
        "precision, recall, density, coverage": overlap,
        "the same by prdc": lambda: compute_prdc(held_out, generated),
        "Fréchet distance": distance,
        "the same by scipy's sqrtm": lambda: measure_by_sqrtm(held_out, generated),
        "Fréchet distance with its interval": lambda: estimate_frechet(held_out, generated),
        "KID with its interval": lambda: estimate_kernel_distance(fit_kernel(held_out), fit_kernel(generated)),
        "random network": lambda: embed_images(images),
    }
    cores = min(CORES, available_cores())
    with use_cores(cores):
        np.testing.assert_allclose(distance(), measure_by_sqrtm(held_out, generated), rtol=1e-6)
        ours, theirs = overlap(), compute_prdc(held_out, generated)
        for name, value in theirs.items():
            # It compares float32 distances: a few of many pairs come out otherwise.
            np.testing.assert_allclose(ours[name], value, rtol=1e-3)
        seconds = interleave(sides, repeats=repeats)
    network = seconds.pop("random network")
    rows = [Row(name, round(value, 4), "s") for name, value in seconds.items()]
    rows.append(Row(f"random network, {SIDE} x {SIDE}", round(count / network), "images/s"))
    rows.append(Row("cores used", cores, "cores"))
    ratios = {
        "prdc_vs_ours": seconds["the same by prdc"] / seconds["precision, recall, density, coverage"],
        "sqrtm_vs_ours": seconds["the same by scipy's sqrtm"] / seconds["Fréchet distance"],
    }
    return write_result("metrics", rows, ratios)


def make_features(count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Held-out, training and generated features float32 [count, FEATURES]; the generator varies a little less."""
    rng = np.random.default_rng(0)
    mixing = rng.normal(size=(HIDDEN, FEATURES))
    held_out, train, generated = (
        np.maximum(scale * rng.normal(size=(count, HIDDEN)) @ mixing + rng.normal(size=(count, FEATURES)) / 2, 0)
        for scale in (1.0, 1.0, 0.95)
    )
    return tuple((features / 5).astype(np.float32) for features in (held_out, train, generated))  # type: ignore[return-value]


def compute_prdc(real: np.ndarray, generated: np.ndarray) -> dict[str, float]:
    from prdc import compute_prdc

    with contextlib.redirect_stdout(io.StringIO()):  # it prints the counts
        return compute_prdc(real, generated, nearest_k=NEIGHBOURS)


def measure_by_sqrtm(real: np.ndarray, generated: np.ndarray) -> float:
    from scipy.linalg import sqrtm

    a, b = (features.astype(np.float64) for features in (real, generated))
    first, second = np.cov(a.T), np.cov(b.T)
    shift = np.square(a.mean(axis=0) - b.mean(axis=0)).sum()
    return float(shift + np.trace(first + second - 2 * sqrtm(first @ second).real))
