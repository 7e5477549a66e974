"""How a generator is watched while it learns: a sheet, its quality beside real images', and when to stop.

Quality is measured against validation images in the scorer's features; the curve lies in quality.json. A small set is
learnt by heart sooner or later, which the Fréchet distance does not mind: copies of training images are near real
ones. So a moment at which more images are near copies than of unseen real ones, by more than `max_copies`, is never
the best, and ends training.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ops.datasets.pixels import PixelDataset
from ops.files.storage import read_json, write_json
from ops.generators.noise import draw_noise
from ops.generators.protocol import Observation
from ops.judging.expansion import find_judge
from ops.judging.judge import Judge
from ops.machine.progress import Sink
from ops.pictures.sheets import write_sheet

QUALITY = "quality.json"
SHEET_COLUMNS = 12
WATCHED = 500  # images of a look
BATCH = 100


@dataclass(frozen=True)
class Watch:
    """Observes a generator; the noise and the labels are the same at every look.

    labels : int64 [n], of the images that are judged. judge : None where there are too few real images for one.
    """

    folder: Path
    shape: tuple[int, int, int]
    classes: int
    labels: np.ndarray
    judge: Judge | None
    max_copies: float
    sink: Sink

    def observe(self, step: int, sample: Callable[[Tensor, Tensor], Tensor]) -> Observation:
        """Write samples-<step>.png and the step's row of quality.json; the score is the Fréchet distance."""
        noise = torch.from_numpy(_draw(self.shape, "samples", SHEET_COLUMNS))
        labels = (torch.full((SHEET_COLUMNS,), label) for label in range(self.classes))
        write_sheet(self.folder / f"samples-{step:06d}.png", [sample(noise, label).numpy() for label in labels])
        if self.judge is None:
            return Observation(-step)
        drawn = zip(
            torch.from_numpy(_draw(self.shape, "watched", len(self.labels))).split(BATCH),
            torch.from_numpy(self.labels).split(BATCH),
            strict=True,
        )
        images = torch.cat([sample(z, label) for z, label in drawn]).permute(0, 3, 1, 2).contiguous()
        quality = self.judge.measure(images, self.labels)
        excess = quality.copies - quality.copies_held_out
        self._note({"step": step, **{key: _round(value) for key, value in quality.to_dict().items()}})
        self.sink(
            f"generator: step {step}: Fréchet distance {quality.frechet:.3g} (real images {quality.floor:.3g}),"
            f" {quality.consistency:.0%} of their class, {quality.copies:.1%} near copies"
        )
        if excess > self.max_copies:
            self.sink(f"generator: step {step}: it begins to copy training images; training ends here")
            return Observation(math.inf, stop=True)
        return Observation(quality.frechet)

    def _note(self, row: dict[str, Any]) -> None:
        path = self.folder / QUALITY
        rows = read_json(path) if path.exists() else []
        write_json(path, [*(other for other in rows if other["step"] != row["step"]), row])


def build_watch(
    scorer: Path, train: PixelDataset, held_out: PixelDataset, *, folder: Path, seed: int, max_copies: float, sink: Sink
) -> Watch:
    """The watch of a stage: labels in the validation images' shares, so that distance and floor can be compared."""
    height, width, channels = train.images.shape[1:]
    judge = find_judge(scorer, train, held_out, seed)
    if judge is None:
        sink(f"generator: {len(held_out)} validation images are too few to watch its quality; the last step is kept")
    repeats = -(-WATCHED // max(1, len(held_out)))
    shuffled = np.random.default_rng(0).permutation(held_out.labels)
    labels = np.tile(shuffled, repeats)[:WATCHED]
    return Watch(folder, (channels, height, width), len(train.class_names), labels, judge, max_copies, sink)


def _draw(shape: tuple[int, int, int], unit: str, count: int) -> np.ndarray:
    return draw_noise(shape, seed=0, round_=0, unit=unit, start=0, count=count)


def _round(value: float) -> float:
    return round(value, 6) if isinstance(value, float) else value
