"""Stage `scorer`: train and store the cross-fitted judge of generated images."""

from __future__ import annotations

from typing import Any

from ops.datasets.axes import to_nchw
from ops.datasets.folds import require_whole_units
from ops.datasets.pixels import read_split
from ops.datasets.units import read_units
from ops.judging.scorer import save_scorer, train_folds
from ops.stages.materialization import StageRun


def build_scorer(run: StageRun) -> dict[str, Any]:
    """Folds in parallel, one process each."""
    train = read_split(run.inputs["real_images"], "train")
    images = to_nchw(train.images)
    classes, settings = len(train.class_names), run.recipe.scorer
    units = read_units(run.inputs["real_images"], train)
    require_whole_units(train.labels, settings.folds, run.recipe.seed, units, "scorer.folds")
    results = train_folds(
        images,
        train.labels.copy(),
        classes,
        settings,
        seed=run.recipe.seed,
        workers=run.runtime.workers,
        units=units,
    )
    return save_scorer(run.out, results, settings, train.labels, classes, images.shape[1])
