"""How many images a call of the drawer gets, where nobody said: measured on the CPU, by a rule on CUDA.

A choice by the clock may differ from run to run, and pixels may not (design, contract 2). On the CPU the candidates
must therefore draw the same bits, or the default is taken; CUDA's kernels change with the batch, so nothing is timed
there. It knows nothing of pieces, workers or datasets.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import numpy as np

from ops.generators.drawers import Drawer, DrawerSpec
from ops.generators.feeds import Feeds, SeedImages, cut_feeds, make_feeds, spread_draws

CPU_BATCH = 64
CANDIDATES = (32, 16, 128)  # in the order of what they cost to try; more outgrows the caches and hundreds of MB
BUDGET = 0.02  # of the images to draw: what trying may cost
SECONDS = 1.0  # after these nothing more is tried
GAIN = 1.03  # by less, a candidate is not faster but lucky
CUDA_PIXELS = 2**21  # of one batch: 2,048 images of 32 x 32, which hide the launch of a kernel
CUDA_LARGEST = 4_096


def resolve_batch_size(
    wanted: int | None,
    drawer: DrawerSpec,
    *,
    provider: str,
    pixels: int,
    piece: int,
    images: int,
    load_seeds: Callable[[], SeedImages] | None = None,
) -> int:
    """`wanted`, or what suits a job of `images` images of `pixels` pixels each, drawn `piece` rows at a time.

    `load_seeds` gives some seed images for a drawer that takes them; it is called where the size is measured.
    """
    if wanted is not None:
        return wanted
    if provider == "cuda":
        return min(cuda_batch(pixels), piece)
    if images * BUDGET < 2 * (CPU_BATCH + min(CANDIDATES)):
        return CPU_BATCH
    seeds = None if load_seeds is None else load_seeds()
    return measure_batch_size(drawer.open(provider, CPU_BATCH), images=images, largest=piece, seeds=seeds)


def cuda_batch(pixels: int) -> int:
    """A power of two that depends on the image's size alone."""
    return max(1, min(CUDA_LARGEST, 2 ** int(math.log2(max(1, CUDA_PIXELS // pixels)))))


def measure_batch_size(
    drawer: Drawer,
    *,
    images: int,
    largest: int,
    clock: Callable[[], float] = time.perf_counter,
    seeds: SeedImages | None = None,
) -> int:
    """The candidate of the highest rate, all run on one thread here; the drawer's own size where none is better.

    Trying stops at BUDGET of the images or SECONDS. The drawer's own size is the answer as well where a candidate
    draws other bits, because then no choice may depend on the clock.
    """
    own = drawer.batch_size
    info, count = drawer.info, max(own, *CANDIDATES)
    labels = np.arange(count) % len(info.class_names) if seeds is None else np.resize(seeds.labels, count)
    feeds = make_feeds(info.inputs, info.shape, spread_draws("batch size", labels, seeds), seed=0, seeds=seeds)
    expected = drawer.draw(cut_feeds(feeds, slice(own)))
    started = clock()
    rates = {own: _rate(drawer, feeds, clock)}
    spent = 2 * own
    for size in CANDIDATES:
        if size > largest or spent + 2 * size > images * BUDGET or clock() - started > SECONDS:
            continue
        spent += 2 * size
        other = drawer.with_batch_size(size)
        common = min(own, size)
        if not np.array_equal(other.draw(cut_feeds(feeds, slice(size)))[:common], expected[:common]):
            return own
        rates[size] = _rate(other, feeds, clock)
    best = max(rates, key=lambda size: rates[size])
    return best if rates[best] > GAIN * rates[own] else own


def _rate(drawer: Drawer, feeds: Feeds, clock: Callable[[], float]) -> float:
    started = clock()
    drawer.draw(cut_feeds(feeds, slice(drawer.batch_size)))
    return drawer.batch_size / max(clock() - started, 1e-9)
