"""Train every arm fairly: the same grid at the first seed, chosen on validation, then the same paired seeds.

Each finished run is a file in the scratch folder, so a run that was killed is resumed run by run. The
tournament sees training and validation images; test images are the verdict's.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from ops.classifiers.training import WORKER_SHARE, TrainingSet, predict, train
from ops.files.storage import replace_file
from ops.machine.parallel import map_processes, shared, worth_workers
from ops.machine.progress import Progress
from ops.recipe.design import Metric
from ops.verdict.metric import score_answers, score_classes

if TYPE_CHECKING:
    from ops.recipe.schema import Arm, ClassifierSettings, GridSettings


@dataclass(frozen=True)
class Run:
    """One training run: an arm, its grid setting and a seed."""

    arm: str
    learning_rate: float
    weight_decay: float
    seed: int

    @property
    def file_name(self) -> str:
        return f"{self.arm}_{self.learning_rate:g}_{self.weight_decay:g}_{self.seed}.safetensors"


@dataclass(frozen=True)
class Result:
    """A finished run.

    validation : its score on validation, 0..1, and its accuracy there on each class, None for a class without images.
    losses : mean loss per twentieth of the training.
    path : of the file with its weights.
    """

    run: Run
    validation: float
    validation_per_class: tuple[float | None, ...]
    losses: tuple[float, ...]
    path: Path


@dataclass(frozen=True, eq=False)
class Examples:
    """A training set: images uint8 [n, C, H, W], labels int64 [n], weights float64 [n]."""

    images: np.ndarray
    labels: np.ndarray
    weights: np.ndarray


def find_aliases(arms: Mapping[str, Arm], labels: np.ndarray, weights: np.ndarray) -> dict[str, str]:
    """Arms that equal an earlier arm because the classes already weigh the same, e.g. oversampled = real."""
    totals = np.bincount(labels, weights=weights)
    if not np.allclose(totals, totals[0]):
        return {}
    seen: dict[Arm, str] = {}
    aliases = {}
    for name, arm in arms.items():
        plain = arm.model_copy(update={"sampler": "uniform", "loss": "plain"})
        if plain in seen:
            aliases[name] = seen[plain]
        else:
            seen[plain] = name
    return aliases


def find_common_aliases(arms: Mapping[str, Arm], training: Sequence[Examples]) -> dict[str, str]:
    """The aliases of `find_aliases` that hold on every training set."""
    first, *others = [find_aliases(arms, examples.labels, examples.weights) for examples in training]
    return {alias: arm for alias, arm in first.items() if all(other.get(alias) == arm for other in others)}


@dataclass(frozen=True)
class Contest:
    """What all runs of a tournament share.

    training : the training sets; the seed that comes s after `first_seed` learns from set s mod their number.
    validation : images and labels, uint8 [n, C, H, W] and int64 [n].
    metric : what is best on validation.
    scratch : folder of the finished runs.
    """

    arms: Mapping[str, Arm]
    training: tuple[Examples, ...]
    first_seed: int
    validation: tuple[np.ndarray, np.ndarray]
    settings: ClassifierSettings
    metric: Metric
    classes: int
    scratch: Path

    def find_examples(self, seed: int) -> Examples:
        """What the runs of a seed learn from."""
        return self.training[(seed - self.first_seed) % len(self.training)]


def list_settings(grid: GridSettings) -> list[tuple[float, float]]:
    """All (learning rate, weight decay) of the grid, in order."""
    return list(product(grid.learning_rate, grid.weight_decay))


def choose_setting(results: Sequence[Result]) -> Run:
    """The run that is best on validation; the earlier in the grid wins a tie."""
    return max(results, key=lambda result: result.validation).run


def hold_tournament(contest: Contest, *, workers: int, progress: Progress) -> dict[str, list[Result]]:
    """All results by arm: first the grid at the first seed (chosen setting first), then the other seeds."""
    first_seed = contest.first_seed
    grid = list_settings(contest.settings.grid)
    tried = _train_runs(
        contest, [Run(name, *setting, first_seed) for name in contest.arms for setting in grid], workers, progress
    )
    by_arm = {
        name: [tried[run] for setting in grid if (run := Run(name, *setting, first_seed)) in tried]
        for name in contest.arms
    }
    chosen = {name: choose_setting(results) for name, results in by_arm.items()}
    seeds = range(first_seed + 1, first_seed + contest.settings.seeds)
    later = train_seeds(contest, chosen, seeds, workers=workers, progress=progress, before=len(tried))
    for name, run in chosen.items():
        by_arm[name].sort(key=lambda result: result.run != run)  # stable: the chosen one comes first
        by_arm[name] += later[name]
    return by_arm


def train_seeds(
    contest: Contest,
    chosen: Mapping[str, Run],
    seeds: Sequence[int],
    *,
    workers: int,
    progress: Progress,
    before: int = 0,
) -> dict[str, list[Result]]:
    """Results by arm of more seeds, in their order, at the setting of each arm's `chosen` run.

    `before` runs count as done in `progress`.
    """
    runs = [replace(run, seed=seed) for run in chosen.values() for seed in seeds]
    done = _train_runs(contest, runs, workers, progress, before)
    return {name: [done[run] for run in runs if run.arm == name] for name in chosen}


def _train_runs(
    contest: Contest, runs: Sequence[Run], workers: int, progress: Progress, before: int = 0
) -> dict[Run, Result]:
    """Train what is not in the scratch folder yet."""
    contest.scratch.mkdir(parents=True, exist_ok=True)
    finished = {run: read_result(run, contest.scratch) for run in runs if (contest.scratch / run.file_name).exists()}
    if progress.first is None:
        progress.begin(before + len(finished))
    missing = [run for run in runs if run not in finished]
    settings = contest.settings
    worth = worth_workers(workers, len(missing) * settings.steps * settings.batch_size, WORKER_SHARE)
    for run in map_processes(_train_run, missing, workers=worth, share={"contest": contest}):
        finished[run] = read_result(run, contest.scratch)
        progress.update(before + len(finished))
    return finished


def count_runs(arms: int, settings: ClassifierSettings) -> int:
    """Trainings that a tournament of `arms` arms takes."""
    return arms * (len(list_settings(settings.grid)) + settings.seeds - 1)


def read_result(run: Run, scratch: Path) -> Result:
    """A finished run from its file."""
    path = scratch / run.file_name
    with safe_open(path, framework="pt") as file:
        facts: dict[str, Any] = json.loads(file.metadata()["result"])
    return Result(run, facts["validation"], tuple(facts["validation_per_class"]), tuple(facts["losses"]), path)


def _train_run(run: Run) -> Run:
    contest: Contest = shared("contest")
    settings, examples = contest.settings, contest.find_examples(run.seed)
    losses: list[float] = []
    model = train(
        TrainingSet(
            torch.from_numpy(examples.images), torch.from_numpy(examples.labels), examples.weights, contest.classes
        ),
        contest.arms[run.arm],
        settings,
        learning_rate=run.learning_rate,
        weight_decay=run.weight_decay,
        seed=run.seed,
        on_step=lambda step, loss: losses.append(loss),
    )
    images, labels = contest.validation
    answers = predict(model, torch.from_numpy(images), precision=settings.precision).argmax(1).numpy()
    correct = answers == labels
    rates = dict(zip(np.unique(labels).tolist(), score_classes(correct, labels).tolist(), strict=True))
    part = math.ceil(len(losses) / 20)
    facts = {
        **asdict(run),
        "validation": float(score_answers(correct, labels, contest.metric)),
        "validation_per_class": [rates.get(c) for c in range(contest.classes)],
        "losses": [round(float(np.mean(losses[i : i + part])), 5) for i in range(0, len(losses), part)],
    }
    with replace_file(contest.scratch / run.file_name) as temporary:
        save_file(
            {name: value.contiguous() for name, value in model.state_dict().items()},
            temporary,
            metadata={"result": json.dumps(facts)},
        )
    return run
