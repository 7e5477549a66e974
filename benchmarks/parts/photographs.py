"""A second source for what is tuned on Fashion-MNIST: patches of scikit-learn's two sample photographs, in colour.

A class is the upper or the lower half of a photograph. Training, held-out and fresh patches come from strips of their
own, so that no pixel is in two of them.
"""

from __future__ import annotations

import numpy as np
import torch

from benchmarks.parts.fashion import LabelledImages
from ops.datasets.axes import to_nchw

SIDE = 32
LEAST = 12.0  # grey levels of contrast: plain sky shows nothing that could be copied


def read_patches(counts: tuple[int, ...], seed: int = 0) -> list[LabelledImages]:
    """So many patches of each class for each of the counts, uint8 [n, 3, 32, 32]."""
    from sklearn.datasets import load_sample_images

    rng = np.random.default_rng(seed)
    halves = [half for picture in load_sample_images().images for half in np.split(picture[:426], 2)]
    parts = []
    for number, count in enumerate(counts):
        patches = []
        for half in halves:
            edges = np.linspace(0, half.shape[1], len(counts) + 1).astype(int)
            strip = half[:, edges[number] : edges[number + 1]]
            found = 0
            while found < count:
                top, left = rng.integers(strip.shape[0] - SIDE + 1), rng.integers(strip.shape[1] - SIDE + 1)
                patch = strip[top : top + SIDE, left : left + SIDE]
                if patch.std() >= LEAST:
                    patches.append(patch)
                    found += 1
        images = torch.from_numpy(to_nchw(np.stack(patches)))
        parts.append(LabelledImages(images, np.repeat(np.arange(len(halves)), count)))
    return parts
