"""How often pseudo-labels are right, in a study that knows the pool's true labels and hid them.

Nothing that is trained or chosen depends on it: it reads what a finished generator has learnt from.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

from ops.datasets.identity import content_ids
from ops.files.outputs import PSEUDO_LABELS
from ops.labelling.pseudo_labels import Accuracy, PseudoLabels, measure_accuracy


def measure_pool_labels(generator: Path, images: np.ndarray, labels: np.ndarray, classes: int) -> Accuracy:
    """Of the folder of the stage `generator`, by images uint8 [n, H, W, C] with their true labels int [n].

    The classes are numbered as in the recipe. ValueError if an image of the pool is not among them.
    """
    table = pl.read_parquet(generator / PSEUDO_LABELS, glob=False)
    known = dict(zip(content_ids(images), labels.tolist(), strict=True))
    names = [name.partition("-")[0] for name in table["image_id"]]
    if lacking := [name for name in names if name not in known]:
        raise ValueError(f"the true label of {len(lacking):,} images of the pool is not known, e.g. of {lacking[0]}")
    found = PseudoLabels(table["label"].to_numpy(), table["confidence"].to_numpy(), table["taken"].to_numpy())
    return measure_accuracy(found, np.array([known[name] for name in names]), classes)
