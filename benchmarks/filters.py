"""The cost of filtering beside that of drawing: scores, rules and metrics for as many images as the demo draws.

The code of the stage draws and writes images with the demo's network, untrained, at two evaluations per image. The
stage's code then scores images against 1,000 training and 2,000 held-out images on the same cores. The scored images
are unseen real ones instead of generated ones, because all images of an untrained network look alike. The first
extractor of the metrics is the scorer, the second the random network.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch

from benchmarks.million_generated import generate
from benchmarks.parts.fashion import CLASS_NAMES, LabelledImages, divide, read_fashion
from benchmarks.parts.harness import Row, write_result
from benchmarks.parts.untrained import export_untrained
from ops.datasets.folds import assign_folds
from ops.filters.rules import decide, find_reasons, set_limits
from ops.filters.scores import ExternalNetworks, ScoreComputer, SeenImages
from ops.generators.folder import variant_name
from ops.generators.onnx.variants import quantise_sampler
from ops.judging.scorer import Scorer, load_scorer, save_scorer, train_folds
from ops.machine.parallel import available_cores
from ops.metrics.random_network import embed_images
from ops.metrics.set_quality import Labels, NetworkFeatures, measure_set
from ops.recipe.classifiers import ScorerSettings
from ops.recipe.filtering import FilterSettings

Result = TypeVar("Result")

COUNT = 13_000  # images that the demo draws
HELD_OUT = 200  # images of each class, validation and test together
SOLVER, STEPS = "euler", 2


def run(count: int = COUNT, *, scorer_steps: int = 300, seed: int = 0) -> Path:
    """Measure, write results/filters.json."""
    division = divide(read_fashion(), small=100, scored=HELD_OUT // 2, held_out=HELD_OUT // 2, seed=seed)
    train, real, audited = division.small, division.held_out, join(division.scored, division.held_out)
    drawn, classes = take_in_order(division.unseen, count), len(CLASS_NAMES)
    generation = measure_generation(count)
    scorer = train_scorer(train, steps=scorer_steps, seed=seed)
    folds = assign_folds(train.labels, len(scorer.models), seed)
    clock = Clock()
    computer = clock.time(
        "opening: how far real images lie apart",
        lambda: ScoreComputer(scorer, train.images, train.labels, folds, audited.images, ExternalNetworks()),
    )
    known = clock.time("scores of held-out real images", lambda: computer.compute_real(real.images, real.labels))
    scores = clock.time("scores", lambda: computer.compute(drawn.images, drawn.labels, SeenImages()))

    def apply_rules() -> list[list[str]]:
        limits = set_limits(known, real.labels, classes, FilterSettings())
        return decide(find_reasons(scores, drawn.labels, limits), drawn.labels, [count] * classes)

    clock.time("rules", apply_rules)
    labels = Labels(real.labels, train.labels, drawn.labels)
    parts = (real.images, train.images, drawn.images)

    def measure(extractor: str) -> object:
        if extractor == "random":
            held_out, trained, made = (embed_images(part) for part in parts)
            views = [NetworkFeatures(held_out, trained, made, np.ones(len(train), bool))]
        else:
            by_network = zip(*(scorer.features(part) for part in parts), strict=True)
            views = [
                NetworkFeatures(held_out, trained, made, folds == fold)
                for fold, (held_out, trained, made) in enumerate(by_network)
            ]
        return measure_set(views, labels, extractor=extractor, classes=range(classes))

    for extractor in ("scorer", "random"):
        clock.time(f"metrics of the set, {extractor} network", partial(measure, extractor))
    filtering = sum(seconds for name, seconds in clock.seconds.items() if not name.startswith("metrics"))
    whole = sum(clock.seconds.values())
    rows = [
        *(Row(f"drawing and writing, {name}", round(1e6 * s / count, 1), "us/image") for name, s in generation.items()),
        *(Row(name, round(1e6 * s / count, 1), "us/image") for name, s in clock.seconds.items()),
    ]
    ratios = {
        f"{what}_of_generation_{name}": spent / seconds
        for name, seconds in generation.items()
        for what, spent in (("filters", filtering), ("filters_and_metrics", whole))
    }
    ratios["filter_share_of_generation"] = ratios["filters_and_metrics_of_generation_fp32"]
    return write_result("filters", rows, ratios, images=count, train=len(train), audited=len(audited))


class Clock:
    """Seconds of each piece of work, by name."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def time(self, name: str, work: Callable[[], Result]) -> Result:
        """Do the work and note its seconds."""
        started = time.perf_counter()
        result = work()
        self.seconds[name] = time.perf_counter() - started
        return result


def measure_generation(count: int) -> dict[str, float]:
    """Seconds to draw, encode and write `count` images, by number format."""
    seconds = {}
    with tempfile.TemporaryDirectory() as name:
        fp32 = export_untrained(Path(name) / "generator", solver=SOLVER, steps=STEPS)
        int8 = fp32.with_name(variant_name(fp32, "int8"))
        quantise_sampler(fp32, int8)
        for label, sampler in (("fp32", fp32), ("int8", int8)):
            seconds[label], _, _ = generate(sampler, Path(name) / f"drawn-{label}", count, min(2, available_cores()))
    return seconds


def train_scorer(train: LabelledImages, *, steps: int, seed: int) -> Scorer:
    """The cross-fitted networks of the demo."""
    settings, classes = ScorerSettings(steps=steps), len(CLASS_NAMES)
    results = train_folds(
        train.images.numpy(), train.labels, classes, settings, seed=seed, workers=min(2, available_cores())
    )
    with tempfile.TemporaryDirectory() as name:
        save_scorer(Path(name), results, settings, train.labels, classes, train.images.shape[1])
        return load_scorer(Path(name))


def join(one: LabelledImages, other: LabelledImages) -> LabelledImages:
    """Both sets, one after the other."""
    return LabelledImages(torch.cat([one.images, other.images]), np.concatenate([one.labels, other.labels]))


def take_in_order(images: LabelledImages, count: int) -> LabelledImages:
    """Equally many images of each class, in the order of the classes, as the stage draws them."""
    each = count // len(CLASS_NAMES)
    rows = np.concatenate([np.flatnonzero(images.labels == label)[:each] for label in range(len(CLASS_NAMES))])
    return LabelledImages(images.images[torch.from_numpy(rows)], images.labels[rows])
