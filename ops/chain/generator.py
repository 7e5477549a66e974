"""Stage `generator`: fit the recipe's kind of generator, with sample sheets on the way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ops.chain.keeping import TRAINED_ON
from ops.datasets.index import write_index
from ops.datasets.pixels import read_split
from ops.generators.draws import draw_noise
from ops.generators.kinds import KINDS
from ops.generators.kinds.protocol import Fitting, Observation
from ops.parallel import use_threads
from ops.report.sheets import write_sheet
from ops.stage import StageRun

SHEET_COLUMNS = 12


def build_generator(run: StageRun) -> dict[str, Any]:
    """Fit it to the real training images."""
    settings = run.recipe.generator
    train = read_split(run.inputs["real_images"], "train")
    write_index(run.out / TRAINED_ON, train.rows.select("image_id"))
    use_threads()
    height, width, channels = train.images.shape[1:]
    fitting = Fitting(
        images=torch.from_numpy(np.ascontiguousarray(train.images.transpose(0, 3, 1, 2))),
        labels=torch.from_numpy(train.labels.copy()),
        class_names=train.class_names,
        seed=run.recipe.seed,
        root=run.workspace.root,
        out=run.out,
        scratch=run.scratch,
        device=run.runtime.device,
        observer=Sheets(run.out, (channels, height, width), len(train.class_names)),
        sink=run.runtime.sink,
        progress=run.runtime.progress,
    )
    return KINDS[settings.kind].fit(settings, fitting)


@dataclass(frozen=True)
class Sheets:
    """Writes a sheet with a row per class, always from the same noise, as training goes on."""

    folder: Path
    shape: tuple[int, int, int]
    classes: int

    def observe(self, step: int, sample: Callable[[Tensor, Tensor], Tensor]) -> Observation:
        noise = draw_noise(self.shape, seed=0, round_=0, unit="samples", start=0, count=SHEET_COLUMNS)
        rows = [
            sample(torch.from_numpy(noise), torch.full((SHEET_COLUMNS,), label)).numpy()
            for label in range(self.classes)
        ]
        write_sheet(self.folder / f"samples-{step:06d}.png", rows)
        return Observation(-step)
