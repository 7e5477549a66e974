"""Which training images are learnt worst: the seed images of variants where a recipe says `plan.seeds: hard`.

Images are ranked by the odds against their own class, ln((1 - p) / p), where p is its probability by the network of the
stage `scorer` that did not see the image (cross-fitted, calibrated). They order images as p does, and as the loss -ln p
does, also where a network is so sure that p is rounded to 1. Within each class the greatest odds come first, and of
equal ones the lesser image_id; the first third, rounded up, is chosen. So a class of one image keeps it, and every
class grows.

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

PLACES = 6  # of what is written


def rank_seeds(logits: np.ndarray, labels: np.ndarray, ids: list[str], class_names: Sequence[str]) -> pl.DataFrame:
    """A row for each image, in the order of `ids`: image_id, label, odds, loss, named, rank (1: learnt worst), chosen.

    logits : [n, K], of each image by the network that did not see it. labels : int [n]. Images are ranked by the odds
    as they are written, to six places, so that the table shows its own order.
    """
    rows = np.arange(len(labels))
    others = logits.copy()
    others[rows, labels] = -np.inf
    odds = (np.logaddexp.reduce(others, axis=1) - logits[rows, labels]).round(PLACES)
    rank = np.zeros(len(labels), np.int64)
    for label in np.unique(labels):
        own = np.flatnonzero(labels == label)
        rank[sorted(own, key=lambda row: (-odds[row], ids[row]))] = np.arange(1, len(own) + 1)
    sizes = np.bincount(labels, minlength=len(class_names))
    return pl.DataFrame(
        {
            "image_id": ids,
            "label": labels.astype(np.int64),
            "odds": odds,
            "loss": np.logaddexp(0, odds).round(PLACES),
            "named": [class_names[label] for label in logits.argmax(1)],
            "rank": rank,
            "chosen": rank <= count_hard(sizes)[labels],
        }
    )


def read_chosen(expansion_plan: Path) -> dict[str, int] | None:
    """The chosen images in the folder of the stage expansion_plan, each with its rank within its class; None where
    variants are made of all."""
    path = expansion_plan / SEEDS
    if not path.exists():
        return None
    table = pl.read_parquet(path, columns=["image_id", "rank", "chosen"], glob=False).filter("chosen")
    return dict(table.select("image_id", "rank").iter_rows())
