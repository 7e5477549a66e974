"""The images that a side's arms are trained on: real ones, or the mixed dataset of each generator."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import polars as pl

from ops.classifiers.examples import Examples
from ops.datasets.axes import to_nchw
from ops.datasets.index import read_index
from ops.datasets.mixed import read_mixed
from ops.datasets.pixels import PixelDataset, read_split
from ops.filters.reasons import WRONG_LABEL
from ops.recipe.arms import Arm
from ops.stages.several import count_generators, place_inputs


def read_real(inputs: Mapping[str, Path]) -> Examples:
    """The real training images; each weighs 1. inputs: folders by stage."""
    train = read_split(inputs["real_images"], "train")
    return _to_examples(train, np.ones(len(train)))


def read_mixed_sets(inputs: Mapping[str, Path], arms: Mapping[str, Arm]) -> Iterator[Examples]:
    """The mixed dataset of each generator, and the rejected images that a teacher of some of `arms` relabels.

    inputs: folders by stage.
    """
    for generator in range(count_generators(inputs["mixed_dataset"])):
        own = place_inputs(inputs, generator)
        index, rejected = read_index(own["mixed_dataset"]), 0
        if any(getattr(arm.targets, "relabel", False) for arm in arms.values()):
            mislabelled = read_index(own["accepted_images"]).filter(pl.col("reasons") == [WRONG_LABEL])
            marks = mislabelled.with_columns(is_generated=pl.lit(True), weight=pl.lit(1.0))
            index, rejected = pl.concat([index, marks.select(index.columns)]), len(mislabelled)
        mixed = read_mixed(index, own["real_images"], own["generated_images"])
        only_relabelled = np.arange(len(index)) >= len(index) - rejected if rejected else None
        yield _to_examples(mixed, index["weight"].to_numpy(), index["is_generated"].to_numpy(), only_relabelled)


def _to_examples(
    data: PixelDataset,
    weights: np.ndarray,
    is_generated: np.ndarray | None = None,
    only_relabelled: np.ndarray | None = None,
) -> Examples:
    return Examples(to_nchw(data.images), data.labels.copy(), weights, is_generated, only_relabelled)
