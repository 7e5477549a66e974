"""Stage `prior`: train a generator on the recipe's pool, without labels; nothing where the recipe has no prior.

Of the labelled images the prior is told their size and channels, and nothing else. So recipes that differ in their
labelled images have the same prior.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch

from ops.chain.parts.pools import open_pool
from ops.datasets.axes import to_nchw
from ops.datasets.index import write_index
from ops.files.manifests import read_manifest
from ops.files.outputs import PRIOR, SAMPLES, TRAINED_ON
from ops.files.storage import write_json
from ops.generators.feeds import IMAGE, NOISE, make_feeds, spread_draws
from ops.generators.protocol import Fitting, Sample
from ops.generators.registry import KINDS
from ops.pictures.sheets import write_sheet
from ops.recipe.generator import KindSettings
from ops.recipe.mae import MaeSettings
from ops.recipe.prior import PoolSettings
from ops.recipe.sampler import SamplerSettings
from ops.sources.pool import read_pool
from ops.stages.materialization import StageRun
from ops.training.state import Observation

ROWS, COLUMNS = 5, 12  # of a sheet of draws


@dataclass(frozen=True)
class Sheets:
    """An observer that draws and judges nothing: without labels there is nothing to judge by, so the last step is kept.

    shape : (C, H, W).
    seeds : uint8 [ROWS, H, W, C], for a prior that draws variants alone: a row begins with one of them.
    """

    folder: Path
    shape: tuple[int, int, int]
    seeds: np.ndarray | None = None

    def observe(self, step: int, sample: Sample) -> Observation:
        """Write samples-<step>.png: draws from noise, the same noise and seed images at every step."""
        runs = spread_draws("samples", np.zeros(ROWS * COLUMNS, np.int64))
        feeds = make_feeds((NOISE,), self.shape, runs, seed=0)
        if self.seeds is not None:
            feeds[IMAGE] = np.repeat(self.seeds, COLUMNS, axis=0)
        drawn = sample({name: torch.from_numpy(values) for name, values in feeds.items()}).numpy()
        rows = list(drawn.reshape(ROWS, COLUMNS, *drawn.shape[1:]))
        if self.seeds is not None:
            rows = [np.concatenate([seed[None], row]) for seed, row in zip(self.seeds, rows, strict=True)]
        write_sheet(self.folder / SAMPLES.format(step=f"{step:06d}"), rows)
        return Observation()


def build_prior(run: StageRun) -> dict[str, Any]:
    """Write the prior's generator directory, the ids of the pool's images, and prior.json, which is {} without one."""
    settings = run.recipe.prior
    if settings is None:
        write_json(run.out / PRIOR, {})
        return {"pool_images": 0}
    assert isinstance(settings, PoolSettings) and isinstance(settings, KindSettings)
    real = read_manifest(run.inputs["real_images"])
    spec = open_pool(run.workspace, settings.pool, real["settings"]["source"])
    height, width, channels = real["metrics"]["shape"]
    pool = read_pool(spec, (height, width, channels))
    write_index(run.out / TRAINED_ON, pl.DataFrame({"image_id": pool.ids}))
    count, conversions = len(pool), dict(pool.conversions)
    chosen = pool.images[np.arange(ROWS) * count // ROWS]  # a copy, so that the pool itself need not be kept
    varies = IMAGE in settings.list_inputs(SamplerSettings())
    fitting = Fitting(
        images=torch.from_numpy(to_nchw(pool.images)),
        labels=torch.zeros(count, dtype=torch.int64),
        class_names=(),
        seed=settings.seed,
        root=run.workspace.root,
        out=run.out,
        scratch=run.scratch,
        name=run.stage,
        device=run.runtime.device,
        watch=lambda max_copies: Sheets(run.out, (channels, height, width), chosen if varies else None),
        sink=run.runtime.sink,
        progress=run.runtime.progress,
    )
    del pool
    metrics = KINDS[settings.kind].fit(settings, fitting)
    facts = {"kind": settings.kind, "pool": settings.pool, "images": count, "licence": spec.licence}
    if isinstance(settings, MaeSettings) and settings.weights is not None:
        facts["weights"] = settings.weights.model_dump(mode="json")
    write_json(run.out / PRIOR, facts)
    return {**metrics, "pool_images": count, "conversions": conversions}
