"""Apply a recipe's `data:` to a source: a long tail, a nuisance, wrong labels, and a record of every draw.

The order is fixed: train is thinned out, then the nuisance is drawn for every remaining image of all splits, then
training labels are changed. Validation and test keep their images and labels. The module reads and writes no files.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from ops.datasets.identity import content_ids, number_repeats, number_uses
from ops.datasets.label_noise import flip_labels
from ops.datasets.longtail import choose_long_tail, exponential_sizes, order_classes, step_sizes, zipf_sizes
from ops.datasets.pixels import PixelDataset, build_rows
from ops.recipe.data import DataSettings, LongTailSettings


@dataclass(frozen=True)
class Subset:
    """The splits as the recipe wants them, with `draws`: one row for each changed image, empty if there are none.

    `draws` has split, image_id, source_id (content id of the image in the source), k (which use of it), source_label,
    and the drawn parameters. `counts` is the number of images by kind of change.
    """

    splits: dict[str, PixelDataset]
    draws: pl.DataFrame
    counts: dict[str, int]


def change_splits(splits: Mapping[str, PixelDataset], settings: DataSettings, seed: int) -> Subset:
    """Apply `long_tail`, `nuisance` and `label_noise`. UserError where a class has too few images for its size."""
    changed, draws, counts = {}, [], Counter[str]()
    for split, dataset in splits.items():
        keys = [name.partition("-")[0] for name in dataset.rows["image_id"]]  # equal images are one key
        ks = np.zeros(len(dataset), np.int64)
        if split == "train" and settings.long_tail is not None:
            rows, ks = _choose(dataset, keys, settings.long_tail, seed, repeats=settings.nuisance is not None)
            order = np.lexsort((ks, rows))
            rows, ks = rows[order], ks[order]
            counts["left out for the long tail"] = len(dataset) - len(np.unique(rows))
            dataset, keys = dataset.select(rows), [keys[row] for row in rows.tolist()]
        elif settings.nuisance is not None:
            ks = number_uses(keys)
        noise = settings.label_noise if split == "train" else 0.0
        if settings.nuisance is None and noise == 0:
            changed[split] = dataset
            continue
        images, drawn = dataset.images, pl.DataFrame()
        if settings.nuisance is not None:
            from ops.datasets.nuisances import NUISANCES  # imports scipy, which takes a tenth of a second

            images, drawn = NUISANCES[settings.nuisance](images, keys, seed=seed, ks=ks)
            counts[f"{settings.nuisance} drawn"] += len(dataset)
        labels, wrong = flip_labels(dataset.labels, keys, rate=noise, classes=len(dataset.class_names), seed=seed)
        if noise:
            counts["given a wrong label"] = int(wrong.sum())
        ids = number_repeats(content_ids(images))
        facts = build_rows(labels, ids, split=split, parent_ids=keys, ks=ks.tolist())
        changed[split] = PixelDataset(images, facts, dataset.class_names)
        origin = pl.DataFrame(
            {"split": split, "image_id": ids, "source_id": keys, "k": ks, "source_label": dataset.labels}
        )
        draws.append(pl.concat([origin, drawn], how="horizontal"))
    return Subset(changed, pl.concat(draws, how="diagonal") if draws else pl.DataFrame(), dict(counts))


def _choose(
    dataset: PixelDataset, keys: list[str], tail: LongTailSettings, seed: int, *, repeats: bool
) -> tuple[np.ndarray, np.ndarray]:
    classes = len(dataset.class_names)
    return choose_long_tail(
        dataset.labels,
        keys,
        find_sizes(tail, dataset.labels, classes, seed),
        class_order=tail.order,
        seed=seed,
        allow_repeats=repeats,
        class_names=dataset.class_names,
    )


def find_sizes(tail: LongTailSettings, labels: np.ndarray, classes: int, seed: int) -> np.ndarray:
    """Images of each class by rank, int64 [classes], largest first."""
    head = tail.head
    if head is None:
        first = int(order_classes(labels, classes, class_order=tail.order, seed=seed)[0])
        head = int(np.bincount(labels, minlength=classes)[first])
    if tail.law == "zipf":
        assert tail.exponent is not None and tail.floor is not None  # the recipe's schema has filled them in
        return zipf_sizes(classes, tail.exponent, head, tail.floor)
    assert tail.ratio is not None
    if tail.law == "step":
        assert tail.minority is not None
        return step_sizes(classes, head, tail.ratio, tail.minority)
    return exponential_sizes(classes, head, tail.ratio)
