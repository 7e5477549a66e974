"""Train the trials of a search and keep their answers: each finished one is a file, so a killed search goes on.

Small validation splits say little, so training and validation images together are divided into folds, and every image
is answered by the network that did not see it (cross-fitting). A large validation split is the only fold. Test images
are not known here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from ops.classifiers.answering import predict
from ops.classifiers.data import TrainingSet
from ops.classifiers.sharing import WORKER_SHARE
from ops.classifiers.training import train
from ops.datasets.folds import divide_for_choices
from ops.files.storage import read_json, write_json
from ops.machine.parallel import map_processes, shared, worth_workers
from ops.machine.progress import Progress
from ops.recipe.arms import Arm
from ops.recipe.classifiers import ClassifierSettings
from ops.recipe.design import Metric
from ops.recipe.ingredients.pairings import Mixup, NoPairing
from ops.tuning.factors import Factor, build_augmentation, find_network, find_standardise
from ops.tuning.search import Answers, Trial

ALPHA = 0.2  # of mixup where a length is tried: as in the arms that `growset init` writes


@dataclass(frozen=True, eq=False)
class Pool:
    """images: uint8 [n, C, H, W]. labels: int64 [n]. fold: int64 [n], -1 for images that are only trained on.

    units: int64 [n], equal for images that are one draw; None where each is its own.
    """

    images: np.ndarray
    labels: np.ndarray
    fold: np.ndarray
    classes: int
    units: np.ndarray | None = None

    @property
    def folds(self) -> int:
        return int(self.fold.max()) + 1

    def weigh(self, metric: Metric) -> np.ndarray:
        """Weights float64 [n] that sum to 1, 0 for images of no fold; classes weigh alike except for accuracy."""
        asked = self.fold >= 0
        if metric == "accuracy":
            return asked / asked.sum()
        counts = np.bincount(self.labels[asked], minlength=self.classes)
        weights = np.zeros(self.classes)
        np.divide(1, counts * (counts > 0).sum(), out=weights, where=counts > 0)
        return np.where(asked, weights[self.labels], 0.0)


def pool_images(
    train: tuple[np.ndarray, np.ndarray],
    validation: tuple[np.ndarray, np.ndarray],
    classes: int,
    folds: int,
    seed: int,
    units: np.ndarray | None = None,
    has_groups: bool = False,
) -> Pool:
    """Both splits' images uint8 [., C, H, W] and labels, divided into folds, or validation as the only one.

    units: int [n + m]; images of one unit stay in one fold. has_groups: whether a unit is one draw, which equal
    pictures alone are not.
    """
    images, labels = (np.concatenate(pair) for pair in zip(train, validation, strict=True))
    fold = divide_for_choices(train[1], validation[1], folds, np.random.default_rng([seed, 2]), units)
    return Pool(images, labels, fold, classes, units if has_groups else None)


@dataclass(frozen=True, eq=False)
class Trials:
    """Asks networks: `ask` is what a search wants.

    scratch: folder of finished trials. progress: called with the number of trainings that a question takes.
    """

    pool: Pool
    factors: Sequence[Factor]
    settings: ClassifierSettings
    metric: Metric
    seed: int
    scratch: Path
    workers: int
    progress: Callable[[int], Progress]
    device: str = "cpu"

    def ask(self, trials: Sequence[Trial]) -> Mapping[Trial, Answers]:
        """Answers by trial; trains those that no file holds."""
        self.scratch.mkdir(parents=True, exist_ok=True)
        wanted = list(dict.fromkeys(trials))
        missing = [trial for trial in wanted if not self.find_file(trial).exists()]
        work = sum(trial.steps for trial in missing) * self.settings.batch_size
        worth = worth_workers(self.workers, work, WORKER_SHARE) if self.device == "cpu" else 1
        share = {
            "pool": self.pool, "factors": list(self.factors), "settings": self.settings, "seed": self.seed,
            "device": self.device,
        }  # fmt: skip
        progress = self.progress(len(missing))
        tasks = [(trial, self.find_file(trial)) for trial in missing]
        for done, _ in enumerate(map_processes(_train_trial, tasks, workers=worth, share=share), start=1):
            progress.update(done)
        weights = self.pool.weigh(self.metric)
        return {trial: self._read(trial, weights) for trial in wanted}

    def find_file(self, trial: Trial) -> Path:
        """Where a trial's answers lie."""
        name = hashlib.sha256(repr(trial).encode()).hexdigest()[:32]
        return self.scratch / f"{name}.json"

    def _read(self, trial: Trial, weights: np.ndarray) -> Answers:
        correct = np.array(read_json(self.find_file(trial))["correct"], dtype=bool)
        asked, units = self.pool.fold == trial.fold, self.pool.units
        return Answers(correct, weights[asked], None if units is None else units[asked])


def _train_trial(task: tuple[Trial, Path]) -> None:
    trial, file = task
    pool: Pool = shared("pool")
    factors, device = shared("factors"), shared("device")
    settings: ClassifierSettings = shared("settings")
    chosen = {"standardise": find_standardise(factors, trial.choice), **(find_network(factors, trial.choice) or {})}
    network = settings.network.model_copy(update=chosen)
    inside, asked = pool.fold != trial.fold, pool.fold == trial.fold
    data = TrainingSet(
        torch.from_numpy(pool.images[inside]),
        torch.from_numpy(pool.labels[inside]),
        np.ones(inside.sum()),
        pool.classes,
    )
    model = train(
        data,
        Arm(
            augmentation=build_augmentation(factors, trial.choice),
            pairing=Mixup(alpha=ALPHA) if trial.mixup else NoPairing(),
        ),
        settings.model_copy(update={"steps": trial.steps, "network": network}),
        learning_rate=settings.grid.learning_rate[0],
        weight_decay=settings.grid.weight_decay[0],
        seed=shared("seed") + trial.fold,
        device=device,
    )
    images = torch.from_numpy(pool.images[asked])
    answers = predict(model, images, precision=settings.precision, device=device).argmax(1).numpy()
    write_json(file, {"correct": (answers == pool.labels[asked]).tolist()})
