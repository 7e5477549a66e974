"""Random draws apart from those of the training around them.

Augmentations draw from the global generators of torch and Python. Views of unlabelled images that drew from them too
would move every later draw of the labelled images. Drawn apart, an arm with a pool shares initial weights, batches and
views of its labelled images with the same arm without one.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch


@contextmanager
def draw_apart(seed: Sequence[int], device: str) -> Iterator[None]:
    """Inside, the global generators begin at `seed`; afterwards they go on as if nothing had been drawn."""
    state, start = random.getstate(), int(np.random.default_rng(seed).integers(2**63))
    with torch.random.fork_rng(devices=[device] if device.startswith("cuda") else []):
        torch.manual_seed(start)
        random.seed(start)
        try:
            yield
        finally:
            random.setstate(state)
