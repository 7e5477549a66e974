"""Choose the batch size of a drawer when the user sets none: measured on the CPU, by a rule on CUDA.

A choice by the clock may differ from run to run, but pixels must not (design, contract 2). On the CPU the candidates
must therefore draw the same bits, or the default is used. CUDA chooses other kernels for other batches, so nothing is
timed there. This module knows nothing of pieces, workers or datasets.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import numpy as np

from ops.generators.drawers import Drawer, DrawerSpec
from ops.generators.feeds import Feeds, SeedImages, cut_feeds, make_feeds, spread_draws

CPU_BATCH = 64
CANDIDATES = (32, 16, 128)  # in the order of trial; larger batches exceed the caches and need hundreds of MB
TRIAL_SHARE = 0.02  # trials draw at most this share of the images to draw
TRIAL_SECONDS = 1.0  # no further candidate is tried after this time
MIN_SPEEDUP = 1.03  # smaller gains are noise
CUDA_PIXELS = 2**21  # pixels of a batch: 2,048 images of 32 x 32, enough to hide the launch of a kernel
CUDA_LARGEST = 4_096  # images of a batch


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
    """`wanted`, or a size for a job of `images` images of `pixels` pixels each, drawn `piece` rows at a time.

    `load_seeds` returns a few seed images for a drawer that takes them; it is called only when the size is measured.
    """
    if wanted is not None:
        return wanted
    if drawer.uses_torch:  # it draws in parts of its own size, and is too slow for trials
        return CPU_BATCH
    if provider == "cuda":
        return min(cuda_batch(pixels), piece)
    if images * TRIAL_SHARE < 2 * (CPU_BATCH + min(CANDIDATES)) or drawer.read_info().together > 1:
        return CPU_BATCH  # a trial's draws are of different units, so each would be made with others for nothing
    seeds = None if load_seeds is None else load_seeds()
    return measure_batch_size(drawer.open(provider, CPU_BATCH), images=images, largest=piece, seeds=seeds)


def cuda_batch(pixels: int) -> int:
    """A power of two; it depends only on the pixels of an image."""
    return max(1, min(CUDA_LARGEST, 2 ** int(math.log2(max(1, CUDA_PIXELS // pixels)))))


def measure_batch_size(
    drawer: Drawer,
    *,
    images: int,
    largest: int,
    clock: Callable[[], float] = time.perf_counter,
    seeds: SeedImages | None = None,
) -> int:
    """The fastest candidate on one thread, or the drawer's own size if no candidate is faster by MIN_SPEEDUP.

    Trials end at TRIAL_SHARE of the images or after TRIAL_SECONDS. If a candidate draws other bits than the drawer's
    own size, the own size is returned, because the choice must then not depend on the clock.
    """
    own = drawer.batch_size
    info, count = drawer.info, max(own, *CANDIDATES)
    labels = np.arange(count) % len(info.class_names) if seeds is None else np.resize(seeds.labels, count)
    feeds = make_feeds(info.inputs, info.shape, spread_draws("batch size", labels, seeds), seed=0, seeds=seeds)
    expected = drawer.draw(cut_feeds(feeds, slice(own)))
    started = clock()
    rates = {own: _measure_rate(drawer, feeds, clock)}
    spent = 2 * own
    for size in CANDIDATES:
        if size > largest or spent + 2 * size > images * TRIAL_SHARE or clock() - started > TRIAL_SECONDS:
            continue
        spent += 2 * size
        other = drawer.with_batch_size(size)
        common = min(own, size)
        if not np.array_equal(other.draw(cut_feeds(feeds, slice(size)))[:common], expected[:common]):
            return own
        rates[size] = _measure_rate(other, feeds, clock)
    best = max(rates, key=lambda size: rates[size])
    return best if rates[best] > MIN_SPEEDUP * rates[own] else own


def _measure_rate(drawer: Drawer, feeds: Feeds, clock: Callable[[], float]) -> float:
    """Images per second of one batch."""
    started = clock()
    drawer.draw(cut_feeds(feeds, slice(drawer.batch_size)))
    return drawer.batch_size / max(clock() - started, 1e-9)
