"""Train every arm fairly: the same grid at the first seed, chosen on validation, then the same paired seeds.

Each finished run is a file in the scratch folder, so a run that was killed is resumed run by run. The
tournament sees training and validation images; test images are the verdict's.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from ops.classifiers.training import WORKER_SHARE, TrainingSet, predict, train
from ops.parallel import map_processes, shared, worth_workers
from ops.progress import Progress
from ops.storage import replace_file

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
    """A finished run: validation accuracy 0..1, mean loss per twentieth of the training, file with the weights."""

    run: Run
    validation_accuracy: float
    losses: tuple[float, ...]
    path: Path


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


def list_settings(grid: GridSettings) -> list[tuple[float, float]]:
    """All (learning rate, weight decay) of the grid, in order."""
    return list(product(grid.learning_rate, grid.weight_decay))


def choose_setting(results: Sequence[Result]) -> Run:
    """The run with the best validation accuracy; the earlier in the grid wins a tie."""
    return max(results, key=lambda result: result.validation_accuracy).run


def hold_tournament(
    arms: Mapping[str, Arm],
    images: np.ndarray,
    labels: np.ndarray,
    weights: np.ndarray,
    validation: tuple[np.ndarray, np.ndarray],
    settings: ClassifierSettings,
    *,
    classes: int,
    first_seed: int,
    scratch: Path,
    workers: int,
    progress: Progress,
) -> dict[str, list[Result]]:
    """All results by arm: first the grid at `first_seed` (chosen setting first), then the other seeds.

    Parameters
    ----------
    images, labels, weights : uint8 [n, C, H, W], int64 [n], float64 [n].
    validation : images and labels likewise.
    """
    scratch.mkdir(parents=True, exist_ok=True)
    share = {
        "images": images,
        "labels": labels,
        "weights": weights,
        "validation": validation,
        "arms": dict(arms),
        "settings": settings,
        "classes": classes,
        "scratch": scratch,
    }
    grid = list_settings(settings.grid)
    done = 0

    def train_all(runs: list[Run]) -> dict[Run, Result]:
        nonlocal done
        finished = {run: read_result(run, scratch) for run in runs if (scratch / run.file_name).exists()}
        done += len(finished)
        if progress.first is None:
            progress.begin(done)
        missing = [run for run in runs if run not in finished]
        worth = worth_workers(workers, len(missing) * settings.steps * settings.batch_size, WORKER_SHARE)
        for run in map_processes(_train_run, missing, workers=worth, share=share):
            finished[run] = read_result(run, scratch)
            done += 1
            progress.update(done)
        return finished

    tried = train_all([Run(name, *setting, first_seed) for name in arms for setting in grid])
    by_arm = {
        name: [
            result
            for run, result in sorted(
                tried.items(), key=lambda item: grid.index((item[0].learning_rate, item[0].weight_decay))
            )
            if run.arm == name
        ]
        for name in arms
    }
    chosen = {name: choose_setting(results) for name, results in by_arm.items()}
    seeds = range(first_seed + 1, first_seed + settings.seeds)
    later = train_all(
        [Run(name, run.learning_rate, run.weight_decay, seed) for name, run in chosen.items() for seed in seeds]
    )
    for name, run in chosen.items():
        by_arm[name].sort(key=lambda result: result.run != run)  # stable: the chosen one comes first
        by_arm[name] += sorted((r for k, r in later.items() if k.arm == name), key=lambda r: r.run.seed)
    return by_arm


def count_runs(arms: int, settings: ClassifierSettings) -> int:
    """Trainings that a tournament of `arms` arms takes."""
    return arms * (len(list_settings(settings.grid)) + settings.seeds - 1)


def read_result(run: Run, scratch: Path) -> Result:
    """A finished run from its file."""
    path = scratch / run.file_name
    with safe_open(path, framework="pt") as file:
        facts: dict[str, Any] = json.loads(file.metadata()["result"])
    return Result(run, facts["validation_accuracy"], tuple(facts["losses"]), path)


def _train_run(run: Run) -> Run:
    settings, arm = shared("settings"), shared("arms")[run.arm]
    data = TrainingSet(
        torch.from_numpy(shared("images")), torch.from_numpy(shared("labels")), shared("weights"), shared("classes")
    )
    losses: list[float] = []
    model = train(
        data,
        arm,
        settings,
        learning_rate=run.learning_rate,
        weight_decay=run.weight_decay,
        seed=run.seed,
        on_step=lambda step, loss: losses.append(loss),
    )
    images, labels = shared("validation")
    answers = predict(model, torch.from_numpy(images), precision=settings.precision).argmax(1).numpy()
    part = math.ceil(len(losses) / 20)
    facts = {
        **asdict(run),
        "validation_accuracy": float((answers == labels).mean()),
        "losses": [round(float(np.mean(losses[i : i + part])), 5) for i in range(0, len(losses), part)],
    }
    with replace_file(shared("scratch") / run.file_name) as temporary:
        save_file(
            {name: value.contiguous() for name, value in model.state_dict().items()},
            temporary,
            metadata={"result": json.dumps(facts)},
        )
    return run
