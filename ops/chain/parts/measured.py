"""What the accepted images are like as a set: `ops.metrics.set_quality` in the features of several networks.

The scorer's networks also chose the images, so its features flatter what they chose; a random network is the witness
that has no such interest. Real images of the validation split are the measure. Of large sets a part is measured.
Variants are not measured in the scorer's features: most of its networks have learnt a variant's parent, and the
intervals hold only where every network sees the same images.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from ops.datasets.axes import to_nchw
from ops.datasets.pixels import read_images, read_split
from ops.judging.scorer import assign_folds, load_scorer
from ops.metrics.random_network import embed_images
from ops.metrics.set_quality import LIMIT, Labels, Measure, NetworkFeatures, draw_rows, measure_set

if TYPE_CHECKING:
    from ops.pretrained.extractor import Extractor


def measure_accepted(
    inputs: Mapping[str, Path],
    shards: list[Path],
    kept: np.ndarray,
    labels: np.ndarray,
    *,
    varied: bool,
    extractor: Extractor | None,
    seed: int,
) -> list[Measure]:
    """Overall and per class, of the images at the places `kept` int [m] of the files, whose labels int [n] are given.

    `inputs` are the folders of the stages real_images and scorer, `seed` is the recipe's, `extractor` one more network.
    `varied` says whether the images are variants of training images.
    """
    chosen = kept[draw_rows(labels[kept], LIMIT, seed)]
    train, held_out = (read_split(inputs["real_images"], split) for split in ("train", "validation"))
    shown = read_images(shards, chosen.tolist()).reshape(-1, *train.images.shape[1:])  # of none it tells no shape
    images = [torch.from_numpy(to_nchw(part)) for part in (held_out.images, train.images, shown)]
    known = Labels(held_out.labels, train.labels, labels[chosen])
    classes = range(len(train.class_names))

    seen_by: dict[str, list[NetworkFeatures]] = {}
    if not varied:
        scorer = load_scorer(inputs["scorer"])
        folds = assign_folds(train.labels, len(scorer.models), seed)
        by_network = zip(*(scorer.features(part) for part in images), strict=True)
        seen_by["scorer"] = [
            NetworkFeatures(real, learnt, drawn, folds == fold) for fold, (real, learnt, drawn) in enumerate(by_network)
        ]
    foreign: dict[str, Callable[[Tensor], np.ndarray]] = {"random": embed_images}
    if extractor is not None:
        foreign[extractor.name] = extractor.features
    for name, extract in foreign.items():
        real, learnt, drawn = map(extract, images)
        seen_by[name] = [NetworkFeatures(real, learnt, drawn, np.ones(len(train), bool))]
    return [
        measure
        for name, views in seen_by.items()
        for measure in measure_set(views, known, extractor=name, classes=classes, seed=seed)
    ]
