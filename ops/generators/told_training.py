"""A training whose steps are told as they are taken, and its seconds at the end."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from ops.generators.protocol import Fitting
from ops.machine.progress import Progress
from ops.training.state import TrainingState
from ops.training.terms import Terms


def make_terms(fitting: Fitting, precision: str, pool: ThreadPoolExecutor, progress: Progress) -> Terms:
    """The terms of a training of a fitting, whose steps and losses `progress` is told."""
    return Terms(
        fitting.seed,
        precision,
        pool,
        fitting.device,
        lambda step, loss: progress.update(step, loss=round(loss, 4)),
        fitting.name,
    )


def learn_and_tell(
    fitting: Fitting,
    name: str,
    steps: int,
    precision: str,
    pool: ThreadPoolExecutor,
    learn: Callable[[Terms], TrainingState],
) -> TrainingState:
    """What `learn` returns on the terms of a fitting. `name` begins the lines of progress; `steps` are to be taken."""
    progress, started = fitting.progress(name, steps, "steps"), time.monotonic()
    ended = learn(make_terms(fitting, precision, pool, progress))
    if own := progress.count_own(ended.step):
        fitting.sink(f"{name}: {own} steps in {time.monotonic() - started:.0f} s, {precision}")
    return ended
