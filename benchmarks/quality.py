"""Quality of the images of each kind of generator, after equal minutes of training on one core, on Fashion-MNIST.

All kinds that are trained, and the flow distilled to two evaluations, are measured with a recipe's default settings and
the kind's default sampler. The steps are chosen before training, from the measured time of a step, because the learning
rate's schedule needs their number; the distilled row's minutes include the teacher's trajectories and the student. A
further row holds the minutes that each really took. All train to their last step without checkpoints: a run of the
stage would keep its best checkpoint and stop at copies.

`ops.judging.judge` compares images with held-out images that neither the scorer nor a generator has seen; the scorer
and the generators share no images. Near copies are those of the generator's own training images. The row of real
images, which the small generators have not seen, shows the figures of a perfect generator. One seed; the test images
are not opened.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.parts.engines import ONNX_BATCH
from benchmarks.parts.fashion import CLASS_NAMES, Division, LabelledImages, divide, read_fashion
from benchmarks.parts.harness import Row, use_cores, write_result
from ops.datasets.axes import to_nchw
from ops.datasets.folds import assign_folds
from ops.drawing.pieces import Draws, draw_rows
from ops.generators.onnx.engine import Sampler
from ops.generators.protocol import Cost, Fitting, Kind
from ops.generators.registry import KINDS
from ops.generators.units import list_classes
from ops.judging.judge import Judge
from ops.judging.scorer import load_scorer, save_scorer, train_folds
from ops.likeness.copies import fit_references, measure_copies
from ops.recipe.adversarial import AdversarialSettings
from ops.recipe.classifiers import ScorerSettings
from ops.recipe.denoisers import DenoiserSettings, DistillationSettings, FlowSettings
from ops.recipe.kinds import KINDS as SECTIONS
from ops.recipe.latent import LatentSettings
from ops.recipe.sampler import SamplerSettings

MINUTES = 4.0  # of one core for each row
IMAGES = 5_000  # generated for each row
ESTIMATES = 5  # of the seconds of a step; their median counts
SCORER_STEPS = 1_000
COPY_LIMIT = 0.5  # of the relative distance, as in the judge; recipes calibrate theirs on real images
REFINING = 0.5  # largest share of the minutes for distillation; above that its steps and pairs are reduced
PIECE = 500  # images whose drawing is timed at once
MEASURES = {
    "frechet": "FD_scorer", "floor": "FD_scorer of real images", "precision": "share", "recall": "share",
    "density": "ratio", "coverage": "share", "consistency": "share", "copies": "share", "copies_held_out": "share",
}  # fmt: skip


@dataclass(frozen=True)
class Entry:
    """A generator of the table."""

    name: str
    kind: Kind
    settings: DenoiserSettings | AdversarialSettings

    @property
    def sampler(self) -> SamplerSettings:
        """The kind's default."""
        return self.settings.resolve_sampler(SamplerSettings())


def run(
    minutes: float = MINUTES, images: int = IMAGES, *, scorer_steps: int = SCORER_STEPS, seed: int = 0, **sizes: int
) -> Path:
    """Measure, print each row when it is ready, write results/quality.json; `sizes` are passed to `divide`."""
    division = divide(read_fashion(), seed=seed, **sizes)
    with use_cores(1), tempfile.TemporaryDirectory() as name:
        judge, accuracy = train_judge(division, Path(name), steps=scorer_steps, seed=seed)
        rows = [Row("scorer: cross-fitted accuracy", round(accuracy, 4), "share")]
        rows += judge_real(judge, division, images)
        channels, height, width = division.small.images.shape[1:]
        entries = budget(list(list_entries()), 60 * minutes, (channels, height, width))
        for train in (division.small, division.large):
            copies = Copies(train.images)
            for number, entry in enumerate(entries):
                folder = Path(name) / f"{len(train)}-{number}"
                found = measure(entry, train, folder, judge, copies, division.held_out, count=images, seed=seed)
                rows += [Row(f"{len(train):,} images, {entry.name}: {row.name}", row.value, row.unit) for row in found]
                _tell(f"{len(train):,} images, {entry.name}", found)
    return write_result(
        "quality",
        rows,
        {},
        minutes=minutes,
        seed=seed,
        images={part: len(getattr(division, part)) for part in ("small", "large", "scored", "held_out")},
        settings={entry.name: entry.settings.model_dump(mode="json") for entry in entries},
    )


def list_entries() -> Iterator[Entry]:
    """Every kind that learns from labels, with its default settings, and the distilled form of each that has one."""
    for name, section in SECTIONS.items():
        if not issubclass(section, DenoiserSettings | AdversarialSettings):
            continue
        if section is LatentSettings:  # for larger images
            continue
        settings = section(kind=name)
        yield Entry(name, KINDS[name], settings)
        if isinstance(settings, FlowSettings):
            student = DistillationSettings()
            distilled = settings.model_copy(update={"distillation": student})
            yield Entry(f"{name} distilled to {student.evaluations}", KINDS[name], distilled)


def budget(entries: Sequence[Entry], seconds: float, shape: tuple[int, int, int]) -> list[Entry]:
    """The entries with the steps that take `seconds` here; distillation takes a share of at most REFINING.

    Estimates of the entries take turns, so that a busy moment of the machine does not favour one of them.
    """
    costs: list[list[Cost]] = [[] for _ in entries]
    for _ in range(ESTIMATES):
        for entry, found in zip(entries, costs, strict=True):
            found.append(entry.kind.estimate(entry.settings, entry.sampler, shape, len(CLASS_NAMES), Path()))
    return [spend(entry, found, seconds) for entry, found in zip(entries, costs, strict=True)]


def spend(entry: Entry, costs: Sequence[Cost], seconds: float) -> Entry:
    """The entry with the steps that take `seconds` by the median of its estimated `costs`."""
    settings = entry.settings
    step = statistics.median(cost.step_seconds for cost in costs)
    after = statistics.median(cost.fit_seconds - settings.steps * cost.step_seconds for cost in costs)
    steps, share = plan_steps(seconds, step, after)
    changes: dict[str, Any] = {"steps": steps}
    if share < 1:
        assert isinstance(settings, FlowSettings) and settings.distillation is not None
        student = settings.distillation
        shrunk = {key: max(1, round(getattr(student, key) * share)) for key in ("steps", "pairs")}
        changes["distillation"] = student.model_copy(update=shrunk)
    return Entry(entry.name, entry.kind, settings.model_copy(update=changes))


def plan_steps(seconds: float, step: float, after: float) -> tuple[int, float]:
    """Training steps, and the share of the work after training (`after` seconds in full) that fits into the time."""
    share = min(1.0, REFINING * seconds / after) if after > 0 else 1.0
    return max(1, int((seconds - share * after) / step)), share


def train_judge(division: Division, folder: Path, *, steps: int, seed: int) -> tuple[Judge, float]:
    """The judge, from the scorer's part and the held-out images, and the scorer's accuracy on unseen images."""
    scored, classes = division.scored, len(CLASS_NAMES)
    settings = ScorerSettings(steps=steps)
    results = train_folds(scored.images.numpy(), scored.labels, classes, settings, seed=seed, workers=1)
    metrics = save_scorer(folder, results, settings, scored.labels, classes, scored.images.shape[1])
    folds = assign_folds(scored.labels, settings.folds, seed)
    judge = Judge(load_scorer(folder), scored.images, scored.labels, division.held_out.images, folds=folds)
    return judge, metrics["cross_fitted_accuracy"]


def measure(
    entry: Entry,
    train: LabelledImages,
    folder: Path,
    judge: Judge,
    copies: Copies,
    held_out: LabelledImages,
    *,
    count: int,
    seed: int,
) -> list[Row]:
    """Train, export, draw and judge one row of the table."""
    out, scratch, exported = (folder / name for name in ("generator", "scratch", "exported"))
    for path in (out, scratch, exported):
        path.mkdir(parents=True)
    labels = torch.from_numpy(train.labels)
    started = time.perf_counter()
    metrics = entry.kind.fit(entry.settings, Fitting(train.images, labels, CLASS_NAMES, seed, folder, out, scratch))
    seconds = time.perf_counter() - started
    path = entry.kind.load(out).export(exported, entry.sampler, scratch)
    sampler = Sampler(path, provider="cpu", batch_size=ONNX_BATCH)
    drawn, rate = draw_images(sampler, count, seed)
    student = metrics.get("student_steps")
    return [
        *describe(judge, copies, drawn, held_out),
        Row("evaluations", sampler.info.evaluations or 0, "of the network for an image"),
        Row("drawn", round(rate, 1), "images/s on one core, ONNX Runtime fp32"),
        Row("training", round(seconds / 60, 2), "minutes of one core"),
        Row("steps", metrics["steps"], "steps"),
        *([Row("student's steps", student, "steps")] if student else []),
    ]


def judge_real(judge: Judge, division: Division, count: int) -> list[Row]:
    """Real images in place of generated ones, as many of each class: the target of the small generators."""
    real = division.unseen
    rows = np.concatenate([np.flatnonzero(real.labels == c)[:n] for c, n in enumerate(share_out(count).counts)])
    images, labels = real.images[torch.from_numpy(rows)], real.labels[rows]
    found = describe(judge, Copies(division.small.images), LabelledImages(images, labels), division.held_out)
    _tell("real images", found)
    return [Row(f"real images: {row.name}", row.value, row.unit) for row in found]


def describe(judge: Judge, copies: Copies, drawn: LabelledImages, held_out: LabelledImages) -> list[Row]:
    """The judge's figures, but with shares of copies of the training set: the judge counts those of the scorer's."""
    found = judge.measure(drawn.images, drawn.labels).to_dict()
    found |= {"copies": copies.share(drawn.images), "copies_held_out": copies.share(held_out.images)}
    return [Row(name, round(found[name], 4), unit) for name, unit in MEASURES.items()]


def draw_images(sampler: Sampler, count: int, seed: int) -> tuple[LabelledImages, float]:
    """`count` images, classes in equal numbers, and the median rate of drawing, in images per second."""
    draws, parts, rates = share_out(count), [], []
    for begin in range(0, count, PIECE):
        end = min(begin + PIECE, count)
        started = time.perf_counter()
        parts.append(draw_rows(begin, end, draws, sampler, seed))
        rates.append((end - begin) / (time.perf_counter() - started))
    images = torch.from_numpy(to_nchw(np.concatenate(parts)))
    return LabelledImages(images, draws.labels[draws.rows(0, count)[0]]), statistics.median(rates)


def share_out(count: int) -> Draws:
    """Classes in equal numbers to within one."""
    classes = len(CLASS_NAMES)
    return Draws(
        list_classes(CLASS_NAMES), tuple(count // classes + (label < count % classes) for label in range(classes))
    )


class Copies:
    """Finds near copies of training images by the rule that the judge uses."""

    def __init__(self, train: Tensor) -> None:
        self._references = fit_references(train)

    def share(self, images: Tensor) -> float:
        """The share of near copies among uint8 images [n, C, H, W]."""
        return float((measure_copies(self._references, images).distance < COPY_LIMIT).mean())


def _tell(name: str, rows: list[Row]) -> None:
    print(f"{name}: " + ", ".join(f"{row.name} {row.value:g}" for row in rows), file=sys.stderr, flush=True)
