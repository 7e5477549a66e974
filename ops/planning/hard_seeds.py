"""Which training images are learnt worst: the seed images of variants where a recipe says `plan.seeds: hard`.

An image's loss is -ln p, where p is the probability of its own class by the network of the stage `scorer` that did not
see it (cross-fitted, calibrated). Within each class images are ranked by it, the greatest first, and of equal ones the
lesser image_id first; the first third, rounded up, is chosen. So a class of one image keeps it, and every class grows.

It is about how badly an image is learnt, not how late: no stage records when. Wrong labels are learnt worst of all, so
they are chosen too (`growset inspect` finds them); `named` says what the network would call each image.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl

from ops.files.outputs import SEEDS
from ops.planning.plan import count_hard

FLOOR = 1e-12  # of a probability


def rank_seeds(
    probabilities: np.ndarray, labels: np.ndarray, ids: list[str], class_names: Sequence[str]
) -> pl.DataFrame:
    """A row for each image, in the order of `ids`: image_id, label, loss, named, rank (1: learnt worst) and chosen.

    probabilities : [n, K], of each image by the network that did not see it. labels : int [n].
    """
    loss = -np.log(np.maximum(probabilities[np.arange(len(labels)), labels], FLOOR))
    rank = np.zeros(len(labels), np.int64)
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        rank[sorted(rows, key=lambda row: (-loss[row], ids[row]))] = np.arange(1, len(rows) + 1)
    sizes = np.bincount(labels, minlength=len(class_names))
    return pl.DataFrame(
        {
            "image_id": ids,
            "label": labels.astype(np.int64),
            "loss": loss.astype(np.float64).round(6),
            "named": [class_names[label] for label in probabilities.argmax(1)],
            "rank": rank,
            "chosen": rank <= count_hard(sizes)[labels],
        }
    )


def read_chosen(expansion_plan: Path) -> set[str] | None:
    """The chosen images in the folder of the stage expansion_plan; None where variants are made of all."""
    path = expansion_plan / SEEDS
    if not path.exists():
        return None
    table = pl.read_parquet(path, columns=["image_id", "chosen"], glob=False)
    return set(table.filter("chosen")["image_id"])
