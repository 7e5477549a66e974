"""Stage `generator`: train the recipe's kind of generator and monitor its quality."""

from __future__ import annotations

from typing import Any

import torch

from ops.chain.parts.each import build_each
from ops.chain.parts.units import take_seeds
from ops.chain.parts.watching import build_watch
from ops.datasets.axes import to_nchw
from ops.datasets.index import write_index
from ops.datasets.pixels import read_split
from ops.files.outputs import LEARNING_CURVE, TRAINED_ON
from ops.files.storage import read_json
from ops.generators.feeds import IMAGE
from ops.generators.protocol import Fitting
from ops.generators.registry import KINDS
from ops.recipe.generator import SamplerSettings
from ops.stages.materialization import StageRun
from ops.stages.several import derive_seed

NOT_METRICS = ("step", "images", "spaces")  # of a row of the learning curve


def build_generator(run: StageRun) -> dict[str, Any]:
    """Train as many generators as the recipe's `generator.seeds`."""
    return build_each(run, _fit_one, run.recipe.generator.seeds, summed=("training_images",))


def _fit_one(run: StageRun) -> dict[str, Any]:
    """Fit one generator to the real training images; validation images judge it, test images are not read."""
    settings, sink = run.recipe.generator, run.runtime.sink
    inputs = settings.list_inputs(SamplerSettings())  # this stage does not read the recipe's sampler
    train, held_out = (read_split(run.inputs["real_images"], split) for split in ("train", "validation"))
    write_index(run.out / TRAINED_ON, train.rows.select("image_id"))
    fitting = Fitting(
        images=torch.from_numpy(to_nchw(train.images)),
        labels=torch.from_numpy(train.labels.copy()),
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
    return {**metrics, **{f"quality_{name}": value for name, value in best.items() if name not in NOT_METRICS}}
