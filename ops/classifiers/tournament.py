"""Train every arm fairly: choose its settings on validation at one seed, then train the same paired seeds for all.

Each finished run is a file in the scratch folder, so a tournament that was killed repeats no finished run. It sees
training and validation images only; test images are for the verdict.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
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
from ops.classifiers.losses import LOSSES
from ops.classifiers.racing import LeftOut, pack_bits, race, unpack_bits
from ops.classifiers.samplers import SAMPLERS
from ops.classifiers.sharing import WORKER_SHARE
from ops.classifiers.stored import load_classifiers
from ops.classifiers.training import train
from ops.files.storage import replace_file
from ops.machine.parallel import map_processes, shared, worth_workers
from ops.machine.progress import Progress
from ops.recipe.arms import Arm
from ops.recipe.classifiers import ClassifierSettings
from ops.recipe.design import Metric
from ops.recipe.grid import GridSettings, Setting, set_numbers
from ops.recipe.ingredients.guidance import TeacherTargets
from ops.recipe.ingredients.losses import PlainLoss
from ops.recipe.ingredients.samplers import UniformSampler
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
    """

    run: Run
    validation: float
    validation_per_class: tuple[float | None, ...]
    bits: str
    losses: tuple[float, ...]
    description: Mapping[str, Any]
    path: Path


@dataclass(frozen=True)
class Tournament:
    """The result of a tournament, by arm.

    chosen : the setting that is best on validation at the seed at which settings are tried.
    tried : the runs of that seed, one for each of the arm's settings, in the grid's order.
    final : the runs of the chosen setting, one for each seed, of the arms that were not left out.
    left_out : arms that were far behind at that seed, and by how much.
    """

    chosen: Mapping[str, Setting]
    tried: Mapping[str, Sequence[Result]]
    final: Mapping[str, Sequence[Result]]
    left_out: Mapping[str, LeftOut]

    @property
    def trainings(self) -> int:
        """How many networks were trained."""
        return len({result.run for results in (*self.tried.values(), *self.final.values()) for result in results})


def find_aliases(arms: Mapping[str, Arm], examples: Examples, grid: GridSettings) -> dict[str, str]:
    """Arms that equal an earlier arm because their sampler or loss has no effect on this set, e.g. oversampled = real.

    It must have no effect at any setting that the grid tries. Arms are equal too if they differ only in numbers for
    which the grid tries the same values.
    """
    seen: dict[object, str] = {}
    aliases, is_expanded = {}, examples.is_generated is not None
    for name, arm in arms.items():
        variants = [set_numbers(arm, setting) for setting in grid.list_settings(arm, is_expanded=is_expanded)]
        plain = _drop_idle(arm, [arm, *variants], examples)
        settings = grid.list_settings(plain, is_expanded=is_expanded)
        tried = tuple((set_numbers(plain, setting), setting) for setting in settings)
        aliases[name] = seen.setdefault(tried, name)
    return {name: arm for name, arm in aliases.items() if arm != name}


def _drop_idle(arm: Arm, variants: Sequence[Arm], examples: Examples) -> Arm:
    """The arm without its sampler or loss where that declares to have no effect in any of the variants."""
    sampler, loss = SAMPLERS[arm.sampler.kind], LOSSES[arm.loss.kind]
    changes: dict[str, Any] = {}
    tried = [(variant, examples.list_sizes(variant)) for variant in variants]
    if all(sampler.equals_uniform(variant.sampler, each) for variant, sizes in tried for each in sizes):
        changes["sampler"] = UniformSampler()
    if all(
        loss.equals_plain(variant.loss, sizes[0], sampler.list_shown(variant.sampler, each))
        for variant, sizes in tried
        for each in sizes
    ):
        changes["loss"] = PlainLoss()
    return arm.model_copy(update=changes)


def find_common_aliases(arms: Mapping[str, Arm], training: Sequence[Examples], grid: GridSettings) -> dict[str, str]:
    """The aliases of `find_aliases` that hold on every training set."""
    first, *others = [find_aliases(arms, examples, grid) for examples in training]
    return {alias: arm for alias, arm in first.items() if all(other.get(alias) == arm for other in others)}


@dataclass(frozen=True)
class Contest:
    """The inputs that all runs of a tournament share.

    training : the training sets; seed `first_seed` + s learns from set s mod their number.
    validation : images and labels, uint8 [n, C, H, W] and int64 [n].
    metric : the figure by which settings are chosen on validation.
    scratch : folder of the finished runs.
    device : torch device that every run is trained on.
    teachers : file with the networks of each arm that the arms' targets name.

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

    @property
    def trying_seed(self) -> int:
        """The seed at which settings are tried; it is judged only where all arms try equally many."""
        return self.first_seed if self.settings.grid.is_equal else self.first_seed + TRYING_OFFSET

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

    def find_examples(self, seed: int) -> Examples:
        """The training set of a seed's runs."""
        return self.training[(seed - self.first_seed) % len(self.training)]


def choose_setting(results: Sequence[Result]) -> Setting:
    """The setting that is best on validation; the earlier in the grid wins a tie."""
    return max(results, key=lambda result: result.validation).run.setting


def hold_tournament(contest: Contest, *, workers: int, progress: Progress, before: int = 0) -> Tournament:
    """Train the grid at one seed, then the remaining seeds at each arm's chosen setting.

    `before` runs count as done in `progress`.
    """
    trying = contest.trying_seed
    grid = {name: [Run(name, setting, trying) for setting in contest.list_settings(name)] for name in contest.arms}
    done = train_runs(contest, [run for runs in grid.values() for run in runs], workers, progress, before)
    tried = {name: [done[run] for run in runs] for name, runs in grid.items()}
    chosen = {name: choose_setting(results) for name, results in tried.items()}
    best = {name: done[Run(name, setting, trying)] for name, setting in chosen.items()}
    answers = {name: unpack_bits(result.bits) for name, result in best.items()}
    left_out = race(contest.arms, answers, contest.validation[1], contest.metric, contest.settings.race)
    seeds = [seed for seed in contest.seeds if seed != trying]
    kept = {name: setting for name, setting in chosen.items() if name not in left_out}
    counted = before + len(done) + len(left_out) * len(seeds)
    later = train_seeds(contest, kept, seeds, workers=workers, progress=progress, before=counted)
    first = {name: [best[name]] * (trying in contest.seeds) for name in kept}
    return Tournament(chosen, tried, {name: [*first[name], *later[name]] for name in kept}, left_out)


def train_seeds(
    contest: Contest,
    chosen: Mapping[str, Setting],
    seeds: Sequence[int],
    *,
    workers: int,
    progress: Progress,
    before: int = 0,
) -> dict[str, list[Result]]:
    """Results by arm of more seeds, in their order, at each arm's `chosen` setting.

    `before` runs count as done in `progress`.
    """
    runs = [Run(name, setting, seed) for name, setting in chosen.items() for seed in seeds]
    done = train_runs(contest, runs, workers, progress, before)
    return {name: [done[run] for run in runs if run.arm == name] for name in chosen}


def train_runs(
    contest: Contest, runs: Sequence[Run], workers: int, progress: Progress, before: int = 0
) -> dict[Run, Result]:
    """The results of runs; those that the scratch folder has are read, the others are trained.

    `before` runs count as done in `progress`.
    """
    contest.scratch.mkdir(parents=True, exist_ok=True)
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
    return finished


def count_runs(contest: Contest) -> int:
    """The number of trainings of a tournament."""
    judged = len(contest.seeds) - (contest.trying_seed in contest.seeds)
    return sum(len(contest.list_settings(name)) + judged for name in contest.arms)


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
    )


def _train_run(run: Run) -> Run:
    contest: Contest = shared("contest")
    examples, device = contest.find_examples(run.seed), contest.device
    arm = set_numbers(contest.arms[run.arm], run.setting)
    settings = contest.settings.model_copy(update={"steps": contest.find_steps(run.setting)})
    losses: list[float] = []
    model = train(
        examples.build_set(arm, contest.classes, contest.first_seed),
        arm,
        settings,
        learning_rate=run.setting["learning_rate"],
        weight_decay=run.setting["weight_decay"],
        seed=run.seed,
        device=device,
        on_step=lambda step, loss: losses.append(loss),
        teachers=_load_teachers(contest, arm),
    )
    images, labels = contest.validation
    answers = predict(model, torch.from_numpy(images), precision=settings.precision, device=device).argmax(1).numpy()
    correct = answers == labels
    rates = dict(zip(np.unique(labels).tolist(), score_classes(correct, labels).tolist(), strict=True))
    part = math.ceil(len(losses) / 20)
    facts = {
        "arm": run.arm,
        "setting": run.setting.to_dict(),
        "seed": run.seed,
        "network": model.description,
        "validation": float(score_answers(correct, labels, contest.metric)),
        "validation_per_class": [rates.get(c) for c in range(contest.classes)],
        "correct": pack_bits(correct),
        "losses": [round(float(np.mean(losses[i : i + part])), 5) for i in range(0, len(losses), part)],
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
