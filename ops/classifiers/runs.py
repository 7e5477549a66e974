"""Train the runs of a contest: each one arm at one setting and seed, on training and validation images only.

Each finished run is a file in the scratch folder, so a contest that was killed repeats no finished run. One that an
earlier contest finished is taken from `KeptTrainings`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from ops.classifiers.answering import predict
from ops.classifiers.examples import Examples
from ops.classifiers.ingredients import Validation
from ops.classifiers.kept_trainings import KeptTrainings, hash_arrays, hash_examples, is_determined, name_hardware
from ops.classifiers.racing import pack_bits
from ops.classifiers.sharing import WORKER_SHARE
from ops.classifiers.stored import load_classifiers
from ops.classifiers.training import train
from ops.files.hashing import hash_file
from ops.files.storage import replace_file
from ops.machine.parallel import map_processes, shared, worth_workers
from ops.machine.precision import resolve_precision
from ops.machine.progress import Progress
from ops.recipe.arms import Arm
from ops.recipe.automatic import forget_leaving_out
from ops.recipe.classifiers import ClassifierSettings
from ops.recipe.design import Metric
from ops.recipe.grid import Setting, set_numbers
from ops.recipe.ingredients.guidance import TeacherTargets
from ops.recipe.pool_arms import learns_from_pool
from ops.stages.several import derive_seed
from ops.verdict.metric import score_answers, score_classes

TRYING_OFFSET = 999  # from the first seed to the extra one: recipe seeds are 1,000 apart, and at most 200 are judged


@dataclass(frozen=True)
class Run:
    """One training run: an arm, its setting of the grid and a seed."""

    arm: str
    setting: Setting
    seed: int

    @property
    def file_name(self) -> str:
        return f"{self.arm}_{self.setting.label}_{self.seed}.safetensors"


@dataclass(frozen=True)
class Result:
    """A finished run.

    validation : its score on validation, 0..1.
    validation_per_class : its accuracy on each class of validation, None for a class without images.
    bits : whether it is right on each validation image, as `pack_bits` writes it.
    losses : mean loss per twentieth of the training.
    description : of its network.
    path : of the file with its weights.
    diagnostics : figures that its trainer found on the way, by name.
    """

    run: Run
    validation: float
    validation_per_class: tuple[float | None, ...]
    bits: str
    losses: tuple[float, ...]
    description: Mapping[str, Any]
    path: Path
    diagnostics: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Contest:
    """The inputs that all runs of a tournament share.

    training : the training sets; seed `first_seed` + s learns from set s mod their number.
    validation : images and labels, uint8 [n, C, H, W] and int64 [n].
    units : int [n] of the validation images, equal for those that are one draw; None where each is its own.
    metric : the figure by which settings are chosen on validation.
    scratch : folder of the finished runs.
    device : torch device that every run is trained on.
    teachers : file with the networks of each arm that the arms' targets name.
    needed : arms that teach others, which a race leaves in.
    seeing : arms that saw a prior's pool, themselves or by a teacher; they race among themselves.
    is_fair : whether all arms of the side try equally many settings; the arms here may be a part of these.
    kept : finished trainings of earlier tournaments; None where each is to be trained here.

    Settings are tried at the first seed. If some arms have more settings than others, they would have the luckier
    networks there, so settings are then tried at an extra seed.
    """

    arms: Mapping[str, Arm]
    training: tuple[Examples, ...]
    first_seed: int
    validation: tuple[np.ndarray, np.ndarray]
    settings: ClassifierSettings
    metric: Metric
    classes: int
    scratch: Path
    device: str = "cpu"
    teachers: Mapping[str, Path] = field(default_factory=dict)
    needed: Collection[str] = ()
    kept: KeptTrainings | None = None
    seeing: Collection[str] = ()
    is_fair: bool = True
    units: np.ndarray | None = None

    @property
    def trying_seed(self) -> int:
        """The seed at which settings are tried; it is judged only where all arms try equally many."""
        return self.first_seed if self.settings.grid.is_equal and self.is_fair else self.first_seed + TRYING_OFFSET

    @property
    def seeds(self) -> range:
        """The seeds whose networks are kept and judged."""
        return range(self.first_seed, self.first_seed + self.settings.seeds)

    @property
    def is_expanded(self) -> bool:
        """Whether the arms learn from generated images too."""
        return any(examples.is_generated is not None for examples in self.training)

    def list_settings(self, arm: str) -> list[Setting]:
        """The settings that an arm tries."""
        return self.settings.grid.list_settings(self.arms[arm], is_expanded=self.is_expanded)

    def find_steps(self, setting: Setting) -> int:
        """Optimizer steps of a run with this setting."""
        steps = setting.get("steps")
        return self.settings.steps if steps is None else int(steps)

    def find_set_seed(self, seed: int) -> int:
        """The seed of what is drawn once for the training set of a seed's runs, such as its placebo."""
        return derive_seed(self.first_seed, (seed - self.first_seed) % len(self.training))

    def find_examples(self, seed: int) -> Examples:
        """The training set of a seed's runs."""
        return self.training[(seed - self.first_seed) % len(self.training)]


def train_runs(
    contest: Contest, runs: Sequence[Run], workers: int, progress: Progress, before: int = 0
) -> dict[Run, Result]:
    """The results of runs; those that the scratch folder or `kept` has are read, the others are trained.

    `before` runs count as done in `progress`.
    """
    contest.scratch.mkdir(parents=True, exist_ok=True)
    keys = _take_kept(contest, runs, progress)
    taught_by = {run: _hash_teacher(contest, run) for run in keys}
    finished = {run: read_result(run, contest.scratch) for run in runs if (contest.scratch / run.file_name).exists()}
    if progress.first is None:
        progress.begin(before + len(finished))
    missing = [run for run in runs if run not in finished]
    work = sum(contest.find_steps(run.setting) for run in missing) * contest.settings.batch_size
    # Several processes on one GPU would each hold their own CUDA context; a gain was not measured.
    worth = worth_workers(workers, work, WORKER_SHARE) if contest.device == "cpu" else 1
    for run in map_processes(_train_run, missing, workers=worth, share={"contest": contest}):
        finished[run] = read_result(run, contest.scratch)
        progress.update(before + len(finished))
        # A teacher that was damaged meanwhile is in no key.
        if contest.kept is not None and run in keys and taught_by[run] == _hash_teacher(contest, run):
            contest.kept.keep(keys[run], contest.scratch / run.file_name)
    if contest.kept is not None and missing:
        contest.kept.prune()
    return finished


def _take_kept(contest: Contest, runs: Sequence[Run], progress: Progress) -> dict[Run, str]:
    """Link kept trainings of `runs` into the scratch folder; returns the key of each run that was not there before."""
    if contest.kept is None:
        return {}
    missing = [run for run in runs if not (contest.scratch / run.file_name).exists()]
    keys = _name_kept(contest, contest.kept, missing)
    taken = sum(contest.kept.take(key, contest.scratch / run.file_name) for run, key in keys.items())
    if taken:
        counted = f"{taken:,} of the next {len(runs):,} {progress.unit}"
        progress.sink(f"{progress.label}: {counted} are kept from earlier ones")
    return keys


def _name_kept(contest: Contest, kept: KeptTrainings, runs: Sequence[Run]) -> dict[Run, str]:
    """The key of each run that its settings, images and teachers determine."""
    settings = contest.settings.model_dump(mode="json", exclude={"seeds", "grid", "race", "steps", "precision"})
    shared_facts = {
        "validation": hash_arrays(dict(zip(("images", "labels"), contest.validation, strict=True))),
        "classifier": settings,
        "precision": resolve_precision(contest.settings.precision, contest.device),
        "device": name_hardware(contest.device),
        "metric": contest.metric,
        "classes": contest.classes,
    }
    hashes: dict[tuple[str, int], str] = {}
    keys = dict[Run, str]()
    for run in runs:
        arm, examples = set_numbers(contest.arms[run.arm], run.setting), contest.find_examples(run.seed)
        if not is_determined(arm, examples):
            continue
        seen = (run.arm + run.setting.label, id(examples))
        if seen not in hashes:
            hashes[seen] = hash_examples(examples, arm)
        own = {
            "arm": forget_leaving_out(arm).model_dump(mode="json"),
            "steps": contest.find_steps(run.setting),
            "learning_rate": run.setting["learning_rate"],
            "weight_decay": run.setting["weight_decay"],
            "seed": run.seed,
            "set_seed": contest.find_set_seed(run.seed),
            "examples": hashes[seen],
            "teacher": _hash_teacher(contest, run),
        }
        keys[run] = kept.name({**shared_facts, **own})
    return keys


def _hash_teacher(contest: Contest, run: Run) -> str | None:
    """Of the file with the networks that teach the run's arm; None for an arm without a teacher."""
    targets = contest.arms[run.arm].targets
    return hash_file(contest.teachers[targets.of]) if isinstance(targets, TeacherTargets) else None


def read_result(run: Run, scratch: Path) -> Result:
    """A finished run from its file."""
    path = scratch / run.file_name
    with safe_open(path, framework="pt") as file:
        facts: dict[str, Any] = json.loads(file.metadata()["result"])
    return Result(
        run,
        facts["validation"],
        tuple(facts["validation_per_class"]),
        facts["correct"],
        tuple(facts["losses"]),
        facts["network"],
        path,
        facts.get("diagnostics", {}),
    )


def _train_run(run: Run) -> Run:
    contest: Contest = shared("contest")
    examples, device = contest.find_examples(run.seed), contest.device
    arm = set_numbers(contest.arms[run.arm], run.setting)
    settings = contest.settings.model_copy(update={"steps": contest.find_steps(run.setting)})
    losses: list[float] = []
    diagnostics: dict[str, float] = {}
    images, own = contest.validation
    validation = Validation(torch.from_numpy(images), own, contest.metric)
    model = train(
        examples.build_set(arm, contest.classes, contest.find_set_seed(run.seed)),
        arm,
        settings,
        learning_rate=run.setting["learning_rate"],
        weight_decay=run.setting["weight_decay"],
        seed=run.seed,
        device=device,
        on_step=lambda step, loss: losses.append(loss),
        teachers=_load_teachers(contest, arm),
        pool=torch.from_numpy(examples.find_pool(arm)) if learns_from_pool(arm) else None,
        prior=examples.prior,
        validation=validation,
        on_diagnosis=diagnostics.__setitem__,
    )
    labels = validation.labels
    answers = predict(model, validation.images, precision=settings.precision, device=device).argmax(1).numpy()
    correct = answers == labels
    rates = dict(zip(np.unique(labels).tolist(), score_classes(correct, labels).tolist(), strict=True))
    part = math.ceil(len(losses) / 20)
    facts = {
        "network": model.description,
        "validation": float(score_answers(correct, labels, contest.metric)),
        "validation_per_class": [rates.get(c) for c in range(contest.classes)],
        "correct": pack_bits(correct),
        "losses": [round(float(np.mean(losses[i : i + part])), 5) for i in range(0, len(losses), part)],
        **({"diagnostics": diagnostics} if diagnostics else {}),
    }
    with replace_file(contest.scratch / run.file_name) as temporary:
        save_file(read_weights(model), temporary, metadata={"result": json.dumps(facts)})
    return run


def _load_teachers(contest: Contest, arm: Arm) -> list[torch.nn.Module]:
    """The networks that teach an arm, of all seeds."""
    if not isinstance(arm.targets, TeacherTargets):
        return []
    return [network.to(contest.device) for network in load_classifiers(contest.teachers[arm.targets.of])]


def read_weights(model: torch.nn.Module) -> dict[str, Tensor]:
    """The weights as they are stored, on the CPU whatever the network's device."""
    return {name: value.cpu().contiguous() for name, value in model.state_dict().items()}
