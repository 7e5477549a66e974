"""scikit-learn's digits of 8 x 8 pixels in their order, which keeps a writer's digits together."""

from __future__ import annotations

import numpy as np

from benchmarks.sources.drawn import Drawn, Labelled

ENDS = {"train": 1000, "validation": 1250, "test": 1797}


def draw_digits() -> Drawn:
    """uint8 [n, 8, 8, 1]; levels of 0 to 16 are spread over 0 to 255."""
    from sklearn.datasets import load_digits

    found = load_digits()
    images = np.round(found.images * 255 / 16).astype(np.uint8)[..., np.newaxis]
    whole = Labelled(images, found.target.astype(np.int64))
    rows = np.split(np.arange(ENDS["test"]), list(ENDS.values())[:-1])
    return Drawn(tuple(map(str, range(10))), {split: whole.take(part) for split, part in zip(ENDS, rows, strict=True)})
