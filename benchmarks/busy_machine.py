"""Growset's speed on a busy machine: steps per second alone, and beside one, two and four other processes.

Each other process ("burner") keeps one core busy. Growset computes on all cores, with as many single-threaded workers,
and is measured against its fair share: with w workers and b burners on c cores each worker gets c / (w + b) of a core,
compared with c / w when it runs alone (at most 1 in both cases). Generator training is also measured in the old way,
one batch at a time on torch's own threads, which wait for each other in busy loops. Classifier training and generation
are measured too; they use one process per core.

Every round measures each side beside each number of burners, for a fixed time rather than a fixed number of steps,
because one step of the old way may take half a minute.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch

from benchmarks.parts.harness import Row, write_result
from benchmarks.parts.untrained import CLASSES, SHAPE, build_untrained, export_untrained
from benchmarks.training import BATCH, make_images
from ops.classifiers import training as classifiers
from ops.classifiers.data import TrainingSet
from ops.generators.denoising.learning import learn
from ops.generators.denoising.steps import DenoisingSteps
from ops.generators.kinds.flow import Flow
from ops.generators.noise import draw_noise
from ops.generators.onnx.engine import Sampler
from ops.machine.parallel import available_cores, map_processes, shared, start_threads, use_threads
from ops.machine.precision import resolve_precision
from ops.recipe.arms import Arm
from ops.recipe.classifiers import ScorerSettings
from ops.recipe.denoisers import FlowSettings
from ops.training.checkpoint import Checkpoints
from ops.training.microbatches import InParts

BURNERS = {0: "alone", 1: "one", 2: "two", 4: "four"}
SECONDS, ROUNDS = 6.0, 3
DRAWN = 64  # images per call of the sampler
NEW, OLD = "generator training", "generator training on torch's own threads"
CLASSIFIERS, GENERATION = "classifier training", "generation"
UNITS = {NEW: "steps/s", OLD: "steps/s", CLASSIFIERS: "steps/s", GENERATION: "images/s"}

BURN = """
import os, sys, time
parent, end = int(sys.argv[1]), time.monotonic() + float(sys.argv[2])
while time.monotonic() < end and os.getppid() == parent:
    for _ in range(100_000):
        pass
"""


def run(seconds: float = SECONDS, rounds: int = ROUNDS) -> Path:
    """Measure, write results/busy_machine.json."""
    cores, before = available_cores(), os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        sampler = export_untrained(Path(folder), solver="heun", steps=3)
        sides: dict[str, Callable[[], float]] = {
            NEW: lambda: train_in_parts(cores, seconds),
            OLD: lambda: train_on_own_threads(cores, seconds),
            CLASSIFIERS: lambda: measure_processes(train_classifier, cores, seconds, sampler),
            GENERATION: lambda: measure_processes(draw_images, cores, seconds, sampler),
        }
        rates: dict[tuple[str, int], list[float]] = {(side, count): [] for side in sides for count in BURNERS}
        for _ in range(rounds):
            for count in BURNERS:
                for side, measure in sides.items():
                    with burn(count, limit=60 + 20 * seconds):
                        rates[side, count].append(measure())
    rate = {key: statistics.median(values) for key, values in rates.items()}
    shares = {
        (side, count): rate[side, count] / rate[side, 0] / fair_share(cores, cores, count)
        for side in sides
        for count in BURNERS
        if count
    }
    return write_result(
        "busy_machine",
        [
            Row(f"{side}, {name if not count else f'beside {name}'}", round(rate[side, count], 3), UNITS[side])
            for side in sides
            for count, name in BURNERS.items()
        ],
        {
            **{f"busy_share_{BURNERS[count]}": share for (side, count), share in shares.items() if side == NEW},
            **{f"old_busy_share_{BURNERS[count]}": share for (side, count), share in shares.items() if side == OLD},
            **{f"classifier_share_{BURNERS[c]}": share for (side, c), share in shares.items() if side == CLASSIFIERS},
            **{f"generation_share_{BURNERS[c]}": share for (side, c), share in shares.items() if side == GENERATION},
            **{f"new_vs_old_{name}": rate[NEW, count] / rate[OLD, count] for count, name in BURNERS.items()},
        },
        rounds={f"{side}, {BURNERS[count]}": [round(v, 3) for v in values] for (side, count), values in rates.items()},
        fair_shares={name: round(fair_share(cores, cores, count), 3) for count, name in BURNERS.items()},
        load_before=round(before, 2),
    )


def fair_share(cores: int, workers: int, burners: int) -> float:
    """The share of its speed alone that each worker keeps if every running thread gets the same time."""
    return min(1.0, cores / (workers + burners)) / min(1.0, cores / workers)


@contextmanager
def burn(count: int, *, limit: float) -> Iterator[None]:
    """Run `count` processes that keep a core each busy; they end with this context, with this process, or after `limit`
    seconds."""
    command = [sys.executable, "-c", BURN, str(os.getpid()), str(limit)]
    burners = [subprocess.Popen(command) for _ in range(count)]
    try:
        if count:
            time.sleep(0.3)
        yield
    finally:
        for burner in burners:
            burner.kill()
            burner.wait()


class _Enough(Exception):
    """Ends a training whose time is over."""


class Clock:
    """Counts steps for a time that begins with the first step; called after each step."""

    def __init__(self, seconds: float) -> None:
        self.seconds, self.stamps = seconds, list[float]()

    def __call__(self, step: int, loss: float) -> None:
        """Raises _Enough when the time is over."""
        self.stamps.append(time.perf_counter())
        if len(self.stamps) > 1 and self.stamps[-1] - self.stamps[0] > self.seconds:
            raise _Enough

    @property
    def rate(self) -> float:
        """Steps per second."""
        return (len(self.stamps) - 1) / (self.stamps[-1] - self.stamps[0])


def train_in_parts(threads: int, seconds: float) -> float:
    """Steps per second of the demo's flow, as the stage trains it."""
    network = build_untrained().network
    with use_threads(threads), start_threads() as pool:
        return _train(InParts(network, pool), network, seconds, pool)


def train_on_own_threads(threads: int, seconds: float) -> float:
    """The same network and loop on whole batches, on torch's own threads."""
    network = build_untrained().network
    torch.set_num_threads(threads)
    try:
        return _train(network, network, seconds, None)
    finally:
        torch.set_num_threads(1)


def _train(
    called: Callable[..., torch.Tensor], network: torch.nn.Module, seconds: float, pool: ThreadPoolExecutor | None
) -> float:
    settings, clock = FlowSettings(steps=1_000_000, batch_size=BATCH), Clock(seconds)
    flow = Flow()
    steps = DenoisingSteps(
        called,
        flow.loss,
        *make_images(),
        settings,
        seed=0,
        precision=resolve_precision("auto"),
        pair_noise=flow.choose_pairing(settings),
        noise_share=flow.noise_share,
    )
    with tempfile.TemporaryDirectory() as scratch:
        try:
            learn(
                network,
                steps,
                settings,
                Checkpoints(Path(scratch), 1),
                pool=pool,
                prepare=steps.prepare,
                on_step=clock,
            )
        except _Enough:
            return clock.rate
    raise AssertionError("training ended after a million steps")


def measure_processes(work: Callable[[float], float], count: int, seconds: float, sampler: Path) -> float:
    """The summed rate of `count` processes that begin together."""
    with tempfile.TemporaryDirectory() as barrier:
        share = {"sampler": sampler, "barrier": Path(barrier), "count": count}
        return sum(map_processes(work, [seconds] * count, workers=count, share=share))


def _wait_for_all() -> None:
    """Wait until every process has started; a late one would otherwise measure after others have ended."""
    folder: Path = shared("barrier")
    (folder / str(os.getpid())).touch()
    while shared("count") > 1 and len(list(folder.iterdir())) < shared("count"):
        time.sleep(0.01)


def train_classifier(seconds: float) -> float:
    """Steps per second of one classifier of the demo's size, on this process's thread."""
    images, labels = make_images()
    data = TrainingSet(images, labels, np.ones(len(images)), len(CLASSES))
    settings, clock = ScorerSettings(steps=1_000_000, batch_size=64), Clock(seconds)
    _wait_for_all()
    try:
        classifiers.train(data, Arm(), settings, learning_rate=0.01, weight_decay=0.0, seed=0, on_step=clock)
    except _Enough:
        return clock.rate
    raise AssertionError("training ended after a million steps")


def draw_images(seconds: float) -> float:
    """Images per second of the exported sampler, on this process's thread."""
    sampler, clock = Sampler(shared("sampler"), batch_size=DRAWN), Clock(seconds)
    noise = draw_noise(SHAPE, seed=0, round_=0, unit="busy", start=0, count=DRAWN)
    label = np.arange(DRAWN) % len(CLASSES)
    _wait_for_all()
    try:
        while True:
            sampler.draw({"noise": noise, "label": label})
            clock(0, 0.0)
    except _Enough:
        return clock.rate * DRAWN
