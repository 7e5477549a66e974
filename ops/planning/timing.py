"""Time real steps on this machine: the speeds behind a plan (`speeds`).

They are measured under the conditions of the work: as many single-threaded processes at once as will train. Two at
once are slower than one alone, because they share the memory's bandwidth and the cores' caches. Images are noise; no
data is read.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from ops.classifiers.answering import predict
from ops.classifiers.data import TrainingSet
from ops.classifiers.ingredients import Validation
from ops.classifiers.networks.classifier import Classifier
from ops.classifiers.products import Shape
from ops.classifiers.training import train
from ops.generators.registry import KINDS
from ops.machine.parallel import map_processes, shared, use_threads
from ops.machine.progress import Progress, Sink
from ops.planning.speeds import Speeds, guess_judging, split_prior, weigh_decoding
from ops.planning.work import Unit
from ops.recipe.schema import Recipe

TIMED_SECONDS = 1.0  # of each unit in each process, unless its steps are long
LEAST_STEPS, MOST_STEPS = 3, 60  # timed steps of a unit, after two that are not
ANSWERED = 128  # images of a timed answer
HELD = 16  # validation images; nothing that is timed sees them


def measure_speeds(
    recipe: Recipe, units: Sequence[Unit], shape: Shape, classes: int, root: Path, workers: int, sink: Sink
) -> Speeds:
    """Speeds from a few real steps of each unit, and of the generator; `sink` gets a line of progress for each."""
    progress = Progress(sink, "timing", len(units) + 2, "kinds of steps", interval=0.0)
    found: dict[Unit, list[float]] = {unit: [] for unit in units}
    started, start, tasks = time.monotonic(), 0.0, [unit for unit in units for _ in range(workers)]
    share = {"shape": shape, "classes": classes, "together": _make_barrier(workers)}
    progress.begin(0)
    for done, (unit, seconds, begun) in enumerate(map_processes(_time_unit, tasks, workers=workers, share=share), 1):
        start = start or begun - started
        found[unit].append(seconds)
        if done % workers == 0:
            progress.update(done // workers)
    with use_threads(workers):
        cost = KINDS[recipe.generator.kind].estimate(recipe.generator, recipe.sampler, shape, classes, root)
        prior = split_prior(recipe, lambda prior, sampler: KINDS[prior.kind].estimate(prior, sampler, shape, 1, root))
    progress.update(len(units) + 1)
    with use_threads(1):
        answer, score = (
            _time_answer(Classifier(network, shape, classes).eval(), shape)
            for network in (recipe.classifier.network, recipe.scorer.network)
        )
    progress.update(len(units) + 2)
    return Speeds(
        {unit: float(np.mean(seconds)) for unit, seconds in found.items()},
        answer,
        score,
        cost.step_seconds,
        cost.image_seconds,
        cost.fit_seconds - getattr(recipe.generator, "steps", 0) * cost.step_seconds,
        start if workers > 1 else 0.0,
        weigh_decoding(recipe, shape, root),
        guess_judging(recipe, root),
        *prior,
    )


def _make_barrier(parties: int) -> object | None:
    """Where processes wait for each other before each unit, so that all compute at once; None for one process."""
    if parties == 1:
        return None
    import multiprocessing

    return multiprocessing.get_context("spawn").Barrier(parties, timeout=600)


def _time_unit(unit: Unit) -> tuple[Unit, float, float]:
    """Seconds of a step, and the moment at which this process was ready."""
    shape, classes = shared("shape"), shared("classes")
    ready = time.monotonic()
    if (together := shared("together")) is not None:
        together.wait()
    images = torch.randint(0, 256, (4 * unit.batch_size, *shape), dtype=torch.uint8)
    data = TrainingSet(images, torch.arange(len(images)) % classes, np.ones(len(images)), classes)
    teachers = [Classifier(unit.network, shape, classes).eval() for _ in range(unit.teachers)]
    held = Validation(images[:HELD], data.labels[:HELD].numpy(), "accuracy")  # probes choose by it after the steps

    def time_steps(steps: int) -> float:
        stamps: list[float] = []
        train(
            data,
            unit.arm,
            unit.budget(2 + steps),
            learning_rate=0.01,
            weight_decay=0.1,
            seed=0,
            on_step=lambda step, loss: stamps.append(time.perf_counter()),
            teachers=teachers,
            pool=images,
            validation=held,
        )
        return (stamps[-1] - stamps[1]) / steps

    seconds = time_steps(LEAST_STEPS)
    more = min(MOST_STEPS, int(TIMED_SECONDS / seconds))
    return unit, time_steps(more) if more > LEAST_STEPS else seconds, ready


def _time_answer(network: Classifier, shape: Shape) -> float:
    """Seconds of an answer, the median of three."""
    images, seconds = torch.randint(0, 256, (ANSWERED, *shape), dtype=torch.uint8), []
    for _ in range(4):
        started = time.perf_counter()
        predict(network, images)
        seconds.append(time.perf_counter() - started)
    return float(np.median(seconds[1:])) / ANSWERED
