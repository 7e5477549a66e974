"""Stage `generator`: train the recipe's kind of generator and monitor its quality.

It learns from the labelled training images, and with `pseudo_labels` from the prior's pool too.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import Any

import numpy as np
import polars as pl
import torch

from ops.chain.parts.each import build_each
from ops.chain.parts.labelled_pool import LabelledPool, label_pool
from ops.chain.parts.units import take_seeds
from ops.chain.parts.watching import build_watch
from ops.datasets.axes import to_nchw
from ops.datasets.index import write_index
from ops.datasets.pixels import PixelDataset, read_split
from ops.files.outputs import LEARNING_CURVE, TRAINED_ON
from ops.files.storage import read_json, write_json
from ops.generators.feeds import IMAGE
from ops.generators.folder import CONFIG, PSEUDO, read_config
from ops.generators.protocol import Fitting
from ops.generators.registry import KINDS
from ops.recipe.sampler import SamplerSettings
from ops.stages.materialization import StageRun
from ops.stages.several import derive_seed

NOT_METRICS = ("step", "images", "spaces")  # of a row of the learning curve


def build_generator(run: StageRun) -> dict[str, Any]:
    """Train as many generators as the recipe's `generator.seeds`."""

    @cache
    def label() -> LabelledPool | None:
        """The same pool for all of them, labelled when the first one needs it."""
        if not run.recipe.generator.labels_pool:
            return None
        train, held_out = (read_split(run.inputs["real_images"], split) for split in ("train", "validation"))
        return label_pool(run, train, held_out)

    fit = partial(_fit_one, label=label)
    return build_each(run, fit, run.recipe.generator.seeds, summed=("training_images",))


def _fit_one(run: StageRun, label: Callable[[], LabelledPool | None]) -> dict[str, Any]:
    """Fit one generator to the real training images; validation images judge it, test images are not read."""
    settings, sink = run.recipe.generator, run.runtime.sink
    inputs = settings.list_inputs(SamplerSettings())  # this stage does not read the recipe's sampler
    train, held_out = (read_split(run.inputs["real_images"], split) for split in ("train", "validation"))
    pool = label()
    images, labels, ids = _join(train, pool)
    write_index(run.out / TRAINED_ON, pl.DataFrame({"image_id": ids}))
    if pool is not None:
        pool.write(run.out)
    fitting = Fitting(
        images=torch.from_numpy(to_nchw(images)),
        labels=torch.from_numpy(labels),
        class_names=train.class_names,
        seed=derive_seed(run.recipe.seed, run.generator),
        root=run.workspace.root,
        out=run.out,
        scratch=run.scratch,
        prior=run.inputs.get("prior"),
        device=run.runtime.device,
        watch=lambda max_copies: build_watch(
            run.inputs["scorer"],
            train,
            held_out,
            folder=run.out,
            max_copies=max_copies,
            sink=sink,
            inputs=inputs,
            seeds=take_seeds(train) if IMAGE in inputs else None,
        ),
        sink=sink,
        progress=run.runtime.progress,
    )
    metrics = KINDS[settings.kind].fit(settings, fitting)
    curve = read_json(run.out / LEARNING_CURVE) if (run.out / LEARNING_CURVE).exists() else []
    best: dict[str, Any] = next((row for row in curve if row["step"] == metrics["best_step"]), {})
    told = {}
    if pool is not None:
        write_json(run.out / CONFIG, {**read_config(run.out), PSEUDO: {"pool": pool.name, "images": len(pool.ids)}})
        told = pool.metrics
    return {**metrics, **told, **{f"quality_{name}": value for name, value in best.items() if name not in NOT_METRICS}}


def _join(train: PixelDataset, pool: LabelledPool | None) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Images uint8 [n, H, W, C], labels int64 [n] and ids of what a generator learns from, the labelled ones first."""
    ids = train.rows["image_id"].to_list()
    if pool is None:
        return train.images, train.labels.copy(), ids
    images, labels = np.concatenate([train.images, pool.images]), np.concatenate([train.labels, pool.labels])
    return images, labels, [*ids, *pool.ids]
