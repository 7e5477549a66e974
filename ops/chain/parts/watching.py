"""Monitor a generator during training: contact sheets, quality compared with real images', and early stopping.

The curve is in learning_curve.json. Which moment is kept is decided by distances to validation images in several
feature spaces, each with its standard error (`ops.judging.spaces`, `ops.training.state`), because a single one, such as
the Fréchet distance in the features of a weak scorer, may prefer noise. A generator memorises a small training set
sooner or later. No distance shows it, because copies of training images are close to real images. So if the share of
near copies exceeds that of unseen real images by more than `max_copies`, training ends, and this moment is not kept,
unless it is the first one. A
variant does not count as a copy for being near to its own seed image.

No distance shows either that a generator of variants only copies its seed images, or that it changes their class. So a
moment that the gate of variants (`ops.judging.variants`) would refuse is not kept, by the limits that a recipe has by
default: the sampler, and with it the recipe's own limits, is not known yet.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
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
from ops.judging.expansion import build_scale, find_judge, share_labels
from ops.judging.judge import Judge
from ops.judging.scorer import Scorer, load_scorer
from ops.judging.usability import Scale, find_mean
from ops.judging.variants import Gate, judge_variants, measure_variants
from ops.machine.progress import Sink
from ops.pictures.sheets import write_sheet
from ops.recipe.sampler import SamplerSettings
from ops.training.state import Observation

SHEET_COLUMNS = 12
OBSERVED = 500  # images per observation
PAIRS = 250  # of these, whose seed images get a second variant
BATCH = 100


@dataclass(frozen=True)
class Watch:
    """Observes a generator; the inputs of its sampler are the same at every observation.

    labels : int64 [n], of the images that are judged. judge, scale : None if there are too few real images for them.
    inputs, seeds : what the generator takes, and the seed images for it: the scorer's training images, in their order.
    scorer : judges variants; None without seed images.
    """

    folder: Path
    shape: tuple[int, int, int]
    classes: int
    labels: np.ndarray
    judge: Judge | None
    scale: Scale | None
    max_copies: float
    sink: Sink
    inputs: Sequence[str]
    seeds: SeedImages | None
    scorer: Scorer | None

    def observe(self, step: int, sample: Sample) -> Observation:
        """Write samples-<step>.png and the step's row of learning_curve.json."""
        rows = [self._sample(sample, "samples", np.full(SHEET_COLUMNS, label)) for label in range(self.classes)]
        write_sheet(self.folder / SAMPLES.format(step=f"{step:06d}"), rows)
        if self.judge is None or self.scale is None:
            return Observation()
        images = torch.from_numpy(to_nchw(self._sample(sample, "watched", self.labels)))
        parents = self._find_parents("watched", self.labels)
        quality, positions = self.judge.measure(images, self.labels, parents), self.scale.place(images, parents)
        excess, mean = quality.copies - quality.copies_held_out, find_mean(positions)
        gate = self._judge_variants(sample, images)
        self._note(
            {
                "step": step,
                **{key: _round(value) for key, value in quality.to_dict().items()},
                "position": _round(mean),
                **({} if gate is None else {"moved": _round(gate.moved), "kept": _round(gate.kept)}),
                "spaces": [
                    {"space": name, **{key: _round(value) for key, value in asdict(position).items()}}
                    for name, position in positions.items()
                ],
            }
        )
        way = "" if mean is None else f", {mean:.0%} of the way from empty to real images"
        named = "" if self.classes == 1 else f" {quality.consistency:.0%} of their class,"
        self.sink(
            f"generator: step {step}: Fréchet distance {quality.frechet:.3g} (real images {quality.floor:.3g}),"
            f"{named} {quality.copies:.1%} near copies{way}"
        )
        if excess > self.max_copies:
            first = ", and this moment is kept, because none was measured before it" if self._is_first(step) else ""
            self.sink(f"generator: step {step}: it begins to memorise training images; training ends here{first}")
            return Observation(usable=False, stop=True)
        distances = {name: (p.distance, p.distance_error) for name, p in positions.items()}
        if gate is None:
            return Observation(distances)
        kept = "" if gate.is_passed else "; this checkpoint is not kept, unless all of them fail"
        self.sink(f"generator: step {step}: {gate.told}{kept}")
        return Observation(distances, usable=gate.is_passed)

    def _judge_variants(self, sample: Sample, images: torch.Tensor) -> Gate | None:
        """The gate of the seed images of the first PAIRS `images`, each with one more variant; None without any."""
        if self.seeds is None or self.scorer is None:
            return None
        seeds, labels = self.seeds, self.labels[:PAIRS]
        rows = seeds.find_parents(spread_draws("watched", labels, seeds))
        others = torch.from_numpy(to_nchw(self._sample(sample, "again", labels)))
        parents = torch.from_numpy(to_nchw(seeds.images[rows]))
        pairs = torch.stack([images[: len(rows)], others], dim=1)
        measured = measure_variants(self.scorer, parents, pairs, labels, self.scorer.folds[rows])
        sizes = np.bincount(seeds.labels, minlength=self.classes).tolist()
        limits = {key: SamplerSettings.model_fields[key].default for key in ("moves", "keeps")}
        return judge_variants(measured, labels, sizes, **limits)

    def _sample(self, sample: Sample, key: str, labels: np.ndarray) -> np.ndarray:
        """uint8 [n, H, W, C] of `labels` int [n] from the noise of `key`, BATCH at a time."""
        runs = spread_draws(key, labels, self.seeds)
        feeds = make_feeds(self.inputs, self.shape, runs, seed=0, seeds=self.seeds)
        parts = [cut_feeds(feeds, slice(begin, begin + BATCH)) for begin in range(0, len(runs), BATCH)]
        return torch.cat([sample({name: torch.from_numpy(x) for name, x in part.items()}) for part in parts]).numpy()

    def _find_parents(self, key: str, labels: np.ndarray) -> np.ndarray | None:
        """The training images that `_sample` makes variants of, int64 [n]; None if it makes no variants."""
        return None if self.seeds is None else self.seeds.find_parents(spread_draws(key, labels, self.seeds))

    def _is_first(self, step: int) -> bool:
        return all(row["step"] >= step for row in read_json(self.folder / LEARNING_CURVE))

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
    max_copies: float,
    sink: Sink,
    inputs: Sequence[str],
    seeds: SeedImages | None,
) -> Watch:
    """The watch of a stage. Its labels have the class shares of the validation images, so that distance and floor can
    be compared."""
    height, width, channels = train.images.shape[1:]
    loaded = load_scorer(scorer)
    judge = find_judge(loaded, train, held_out)
    if judge is None:
        sink(
            f"generator: {len(held_out)} validation images, or those of a fold of the scorer, are too few to watch its"
            " quality; the last step is kept"
        )
    scale = None if judge is None else build_scale(loaded, train, held_out)
    labels = share_labels(held_out.labels, OBSERVED)
    shape, classes = (channels, height, width), len(train.class_names)
    judging = None if seeds is None else loaded
    return Watch(folder, shape, classes, labels, judge, scale, max_copies, sink, inputs, seeds, judging)


def _round(value: Any) -> Any:
    return round(value, 6) if isinstance(value, float) else value
