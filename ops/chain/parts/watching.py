"""Monitor a generator during training: contact sheets, quality compared with real images', and early stopping.

Quality is measured against validation images in the scorer's features; the curve is in learning_curve.json. A generator
memorises a small training set sooner or later. The Fréchet distance does not show it, because copies of training
images are close to real images. So if the share of near copies exceeds that of unseen real images by more than
`max_copies`, the checkpoint is never the best one, and training ends. A variant does not count as a copy for being
near to its own seed image.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ops.datasets.axes import to_nchw
from ops.datasets.pixels import PixelDataset
from ops.files.outputs import LEARNING_CURVE, SAMPLES
from ops.files.storage import read_json, write_json
from ops.generators.feeds import SeedImages, cut_feeds, make_feeds, spread_draws
from ops.generators.protocol import Sample
from ops.judging.expansion import find_judge
from ops.judging.judge import Judge
from ops.machine.progress import Sink
from ops.pictures.sheets import write_sheet
from ops.training.state import Observation

SHEET_COLUMNS = 12
OBSERVED = 500  # images per observation
BATCH = 100


@dataclass(frozen=True)
class Watch:
    """Observes a generator; the inputs of its sampler are the same at every observation.

    labels : int64 [n], of the images that are judged. judge : None if there are too few real images for one.
    inputs, seeds : what the generator takes, and the seed images for it.
    """

    folder: Path
    shape: tuple[int, int, int]
    classes: int
    labels: np.ndarray
    judge: Judge | None
    max_copies: float
    sink: Sink
    inputs: Sequence[str]
    seeds: SeedImages | None

    def observe(self, step: int, sample: Sample) -> Observation:
        """Write samples-<step>.png and the step's row of learning_curve.json; the score is the Fréchet distance."""
        rows = [self._sample(sample, "samples", np.full(SHEET_COLUMNS, label)) for label in range(self.classes)]
        write_sheet(self.folder / SAMPLES.format(step=f"{step:06d}"), rows)
        if self.judge is None:
            return Observation(-step)
        images = torch.from_numpy(to_nchw(self._sample(sample, "watched", self.labels)))
        quality = self.judge.measure(images, self.labels, self._find_parents("watched", self.labels))
        excess = quality.copies - quality.copies_held_out
        self._note({"step": step, **{key: _round(value) for key, value in quality.to_dict().items()}})
        self.sink(
            f"generator: step {step}: Fréchet distance {quality.frechet:.3g} (real images {quality.floor:.3g}),"
            f" {quality.consistency:.0%} of their class, {quality.copies:.1%} near copies"
        )
        if excess > self.max_copies:
            self.sink(f"generator: step {step}: it begins to memorise training images; training ends here")
            return Observation(math.inf, stop=True)
        return Observation(quality.frechet)

    def _sample(self, sample: Sample, key: str, labels: np.ndarray) -> np.ndarray:
        """uint8 [n, H, W, C] of `labels` int [n] from the noise of `key`, BATCH at a time."""
        runs = spread_draws(key, labels, self.seeds)
        feeds = make_feeds(self.inputs, self.shape, runs, seed=0, seeds=self.seeds)
        parts = [cut_feeds(feeds, slice(begin, begin + BATCH)) for begin in range(0, len(runs), BATCH)]
        return torch.cat([sample({name: torch.from_numpy(x) for name, x in part.items()}) for part in parts]).numpy()

    def _find_parents(self, key: str, labels: np.ndarray) -> np.ndarray | None:
        """The training images that `_sample` makes variants of, int64 [n]; None if it makes no variants."""
        return None if self.seeds is None else self.seeds.find_parents(spread_draws(key, labels, self.seeds))

    def _note(self, row: dict[str, Any]) -> None:
        path = self.folder / LEARNING_CURVE
        rows = read_json(path) if path.exists() else []
        write_json(path, [*(other for other in rows if other["step"] != row["step"]), row])


def build_watch(
    scorer: Path,
    train: PixelDataset,
    held_out: PixelDataset,
    *,
    folder: Path,
    seed: int,
    max_copies: float,
    sink: Sink,
    inputs: Sequence[str],
    seeds: SeedImages | None,
) -> Watch:
    """The watch of a stage. Its labels have the class shares of the validation images, so that distance and floor can
    be compared."""
    height, width, channels = train.images.shape[1:]
    judge = find_judge(scorer, train, held_out, seed)
    if judge is None:
        sink(f"generator: {len(held_out)} validation images are too few to watch its quality; the last step is kept")
    repeats = -(-OBSERVED // max(1, len(held_out)))
    shuffled = np.random.default_rng(0).permutation(held_out.labels)
    labels = np.tile(shuffled, repeats)[:OBSERVED]
    shape, classes = (channels, height, width), len(train.class_names)
    return Watch(folder, shape, classes, labels, judge, max_copies, sink, inputs, seeds)


def _round(value: float) -> float:
    return round(value, 6) if isinstance(value, float) else value
