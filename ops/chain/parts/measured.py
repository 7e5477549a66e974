"""Quality of the accepted images as a set: `ops.metrics.set_quality` in the features of several networks.

The scorer's networks selected the images, so metrics in their features are too favourable; a random network serves as
an unbiased second opinion. Validation images are the reference. Large sets are subsampled. Variants are not measured
in the scorer's features: most of its networks were trained on a variant's parent, and the intervals hold only if every
network sees the same images.
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
from ops.judging.scorer import load_scorer
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
    """Metrics, overall and per class, of the images at positions `kept` int [m] in `shards`.

    `labels` int [n] belong to all images in `shards`. `inputs` are the folders of the stages real_images and scorer,
    `seed` is the recipe's, `extractor` is one more network, `varied` is True for variants of training images.
    """
    chosen = kept[draw_rows(labels[kept], LIMIT, seed)]
    train, held_out = (read_split(inputs["real_images"], split) for split in ("train", "validation"))
    shown = read_images(shards, chosen.tolist()).reshape(-1, *train.images.shape[1:])  # an empty result has no shape
    images = [torch.from_numpy(to_nchw(part)) for part in (held_out.images, train.images, shown)]
    known = Labels(held_out.labels, train.labels, labels[chosen])
    classes = range(len(train.class_names))

    seen_by: dict[str, list[NetworkFeatures]] = {}
    if not varied:
        scorer = load_scorer(inputs["scorer"])
        by_network = zip(*(scorer.features(part) for part in images), strict=True)
        seen_by["scorer"] = [
            NetworkFeatures(real, trained, drawn, scorer.folds == fold)
            for fold, (real, trained, drawn) in enumerate(by_network)
        ]
    independent: dict[str, Callable[[Tensor], np.ndarray]] = {"random": embed_images}
    if extractor is not None:
        independent[extractor.name] = extractor.features
    for name, extract in independent.items():
        real, trained, drawn = map(extract, images)
        seen_by[name] = [NetworkFeatures(real, trained, drawn, np.ones(len(train), bool))]
    return [
        measure
        for name, views in seen_by.items()
        for measure in measure_set(views, known, extractor=name, classes=classes, seed=seed)
    ]
