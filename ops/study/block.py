"""Run a block of a part `classifiers`: make its datasets, train its arms, measure each network.

Stages of the chain make the datasets, up to the mixed one. The trainings are those of a tournament, without a choice.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import torch
from safetensors.torch import load_file

from ops.chain import find_builder
from ops.chain.parts.classifiers import keep_networks, weights_file
from ops.chain.parts.examples import read_baselines, read_mixed_sets
from ops.chain.parts.modes import explain_mode
from ops.chain.parts.pools import PRIOR
from ops.classifiers.examples import Examples
from ops.classifiers.networks.classifier import Classifier, build_classifier
from ops.classifiers.runs import Contest, Result, Run, train_runs
from ops.classifiers.variants.oracle import Oracle
from ops.datasets.axes import to_nchw
from ops.datasets.index import read_index
from ops.datasets.pixels import read_rows
from ops.datasets.shards import find_shards
from ops.files.storage import write_json
from ops.machine.interruption import at, check
from ops.recipe.arms import Arm
from ops.recipe.automatic import list_automatic
from ops.recipe.contrastive_arms import is_contrastive
from ops.recipe.counterparts import list_teachers
from ops.recipe.grid import set_numbers
from ops.recipe.pool_arms import list_seeing
from ops.recipe.schema import Recipe
from ops.recipe.stages import upstream
from ops.recipe.variants import name_oracles
from ops.stages.materialization import materialize
from ops.stages.refused import read_refused
from ops.stages.unused import read_unused
from ops.study.attacks import Asked
from ops.study.bench import FIRST, MIXED, Bench
from ops.study.budget import pick_setting
from ops.study.controlled import Decided, settle_arms
from ops.study.corrupted import ask_together
from ops.study.curves import find_value
from ops.study.images import read_unchanged
from ops.study.judging import Judging
from ops.study.label_free import Encoder
from ops.study.measure_names import OF_TRAINING
from ops.study.measures import Answers
from ops.study.pool_check import require_apart
from ops.study.results import Block, Cell, Row
from ops.study.training_images import TrainingImages, choose_training_images
from ops.study.unlabelled import put_unlabelled

Wanted = Sequence[tuple[str, int]]  # networks, by arm and number


def run_block(bench: Bench, block: Block, cells: Sequence[Cell]) -> Iterator[list[Row]]:
    """Make `cells` of the block in groups of arms; yields the rows of each finished group.

    Each finished network is a file under its arm's fingerprint in `bench.scratch`, so an interrupted group resumes.
    """
    with at(f"in the block {block.name}"):
        work = _Work(bench, block, bench.build_recipe(block))
        for arms in work.list_groups():
            if wanted := [cell for cell in cells if cell.arm in arms]:
                check()
                started = time.monotonic()
                found = work.run_group(wanted)
                share = (time.monotonic() - started) / len(wanted)
                yield _to_rows(bench, found, share)
        if ensembles := [cell for cell in cells if cell.arm in bench.part.ensembles]:
            yield _to_rows(bench, {cell: work.ask_ensemble(cell.arm) for cell in ensembles}, 0.0)


def _to_rows(bench: Bench, found: Mapping[Cell, Answers | None], seconds: float) -> list[Row]:
    return [
        Row(cell, measure, None if answers is None else find_value(answers, measure), seconds)
        for cell, answers in found.items()
        for measure in bench.list_measures(cell)
    ]


@dataclass(frozen=True)
class _Work(Judging):
    """settled: arms that said auto, as they are trained, and what the controller chose; filled when they are."""

    bench: Bench
    block: Block
    recipe: Recipe
    settled: dict[str, tuple[Arm, Decided]] = field(default_factory=dict, compare=False)

    @property
    def label(self) -> str:
        """Name of the recipe, and of the folder of its datasets; all steps of a setting and seed share them.

        Unlike the names of settings, those of recipes have no +.
        """
        block = self.block
        return f"{block.part}-{block.setting}-seed{block.seed}".replace("+", ".and.")

    def say(self, line: str) -> None:
        self.bench.runtime.sink(f"{self.block.name}: {line}")

    def list_groups(self) -> list[list[str]]:
        """The arms in the order of training: those without a teacher, with one, with generated images."""
        part, baselines = self.bench.part, self.recipe.baselines
        taught = [name for name in part.baselines if baselines[name].targets.kind != "labels"]
        grown = part.list_expanded(self.block.setting)
        return [[name for name in part.baselines if name not in taught], taught, grown]

    def find_arm(self, name: str) -> Arm:
        return (self.recipe.expanded if name in self.bench.part.expanded else self.recipe.baselines)[name]

    def find_trained(self, name: str) -> Arm:
        """The arm as its networks are trained: with what the controller chose in the place of auto."""
        return self.settled[name][0] if name in self.settled else self.find_arm(name)

    def run_group(self, cells: Sequence[Cell]) -> dict[Cell, Answers | None]:
        """The answers of the cells, which are of one group; None for all where the generator was not used."""
        results = self.train([(cell.arm, cell.network) for cell in cells])
        if results is None:
            return dict.fromkeys(cells)
        return {cell: self.ask(cell.arm, [result]) for cell, result in zip(cells, results, strict=True)}

    def ask_ensemble(self, name: str) -> Answers | None:
        """The mean answers of the networks of the arm that the ensemble is of."""
        arm = self.bench.part.ensembles[name]
        results = self.train(self.list_networks(arm))
        return None if results is None else self.ask(arm, results)

    def list_networks(self, arm: str) -> Wanted:
        """All networks of an arm."""
        return [(arm, number) for number in range(self.bench.count_networks(arm))]

    def train(self, wanted: Wanted) -> list[Result] | None:
        """The results of networks of one group, in their order; finished ones are read.

        None where the generator was not used. Arms have their fingerprint as name, so that a file is never taken for
        one of other settings.
        """
        bench, names = self.bench, self.bench.name_arms(self.block)
        arms = {name: self.find_arm(name) for name, _ in wanted}
        is_expanded = any(name in bench.part.expanded for name in arms)
        if (examples := self.grown if is_expanded else self.real) is None:
            return None
        contest = Contest(
            arms={names[name]: arm for name, arm in arms.items()},
            training=(examples,),
            first_seed=self.recipe.seed * 1000,
            validation=self.validation,
            settings=self.recipe.classifier,
            metric="accuracy",
            classes=len(self.evaluation.class_names),
            scratch=bench.scratch,
            device=bench.runtime.device,
            teachers={arm: self.keep_teachers(arm) for arm in list_teachers(arms)},
        )
        asking = {names[name]: name for name in list_automatic(arms) if name not in self.settled}
        if asking:
            inputs = (self.mixed or {}) if is_expanded else {FIRST: self.real_images}
            within = replace(bench.runtime, sink=self.say)
            self.settled.update(settle_arms(bench.own, self.recipe, contest, asking, inputs, within))
        arms = {name: self.find_trained(name) for name in arms}
        contest = replace(contest, arms={names[name]: arm for name, arm in arms.items()})
        budget = bench.part.budget
        settings = {name: pick_setting(self.recipe, arm, budget, is_expanded=is_expanded) for name, arm in arms.items()}
        runs = [Run(names[name], settings[name], contest.first_seed + number) for name, number in wanted]
        each = list(dict.fromkeys(runs))  # arms with other names may be the same
        self.say(f"{len(each)} trainings: {', '.join(arms)}")
        done = train_runs(
            contest, each, bench.runtime.workers, bench.runtime.progress(self.block.name, len(each), "trainings")
        )
        return [done[run] for run in runs]

    def keep_teachers(self, arm: str) -> Path:
        """The file with all networks of an arm that teaches."""
        networks = self.list_networks(arm)
        results = self.train(networks)
        assert results is not None, "a teacher is a baseline"
        name = f"{self.bench.name_arms(self.block)[arm]}_all-{len(networks)}"
        keep_networks(self.bench.scratch, name, results)
        return self.bench.scratch / weights_file(name)

    @cached_property
    def real_images(self) -> Path:
        """The folder of the stage `real_images`."""
        return self.make_images(FIRST)[FIRST]

    @cached_property
    def real(self) -> Examples:
        """The real training images; with the images from before their nuisance where an arm draws it anew, and with the
        pool where an arm sees it."""
        inputs = {FIRST: self.real_images}
        if list_seeing(self.recipe.baselines):
            inputs |= self.make_images(PRIOR)
        found = read_baselines(self.bench.own, inputs, self.recipe.baselines)
        if not name_oracles(self.recipe.baselines):
            return found
        assert self.recipe.data.nuisance is not None, "the schema asks for one"
        before = read_rows(find_shards(self.real_images, "train"))["parent_id"].to_list()
        clean = read_unchanged(self.bench.own, before, "train")
        return replace(found, oracle=Oracle(self.recipe.data.nuisance, clean, found.ids, self.recipe.seed))

    @cached_property
    def mixed(self) -> dict[str, Path] | None:
        """The folders of the stages up to the mixed dataset; None where no generated image is used.

        Nor is one that was imagined otherwise than the setting says.
        """
        folders = self.make_images(MIXED)
        if why := read_unused(folders["generated_images"]):
            self.say(f"generator not used: {why}")
            return None
        if why := explain_mode(folders["generator_onnx"]):
            self.say(f"images not used: {why}")
            return None
        if not read_index(folders[MIXED])["is_generated"].any():
            self.say("not one of the drawn images was accepted")
            return None
        return folders

    @cached_property
    def grown(self) -> Examples | None:
        """The mixed dataset, for all arms with generated images; None where the generator was not used."""
        return None if self.mixed is None else next(read_mixed_sets(self.mixed, self.recipe.expanded, self.recipe.seed))

    def read_training_images(self, arm: str) -> TrainingImages | None:
        """Some of the images that an arm's networks learnt from; None where nothing is measured on them."""
        if set(OF_TRAINING).isdisjoint(self.bench.part.measures):
            return None
        is_expanded, section = arm in self.bench.part.expanded, self.find_trained(arm)
        examples = self.grown if is_expanded else self.real
        assert examples is not None, "without a generator there are no answers"
        setting = pick_setting(self.recipe, section, self.bench.part.budget, is_expanded=is_expanded)
        classes, first_seed = len(self.evaluation.class_names), self.recipe.seed * 1000  # the placebo's, as in `train`
        return choose_training_images(examples.build_set(set_numbers(section, setting), classes, first_seed))

    def make_images(self, last: str) -> dict[str, Path]:
        """The folders of the stages up to `last`, made where they are missing."""
        own, runtime = self.bench.own, self.bench.runtime
        if (size := self.bench.find_unlabelled(self.block.setting)) is not None:
            put_unlabelled(own, self.recipe, size)
        # The first number of steps stands for all of them: the stages up to here do not train these classifiers.
        settings = self.recipe.classifier.model_copy(update={"steps": self.bench.part.steps[0]})
        recipe = self.recipe.model_copy(update={"classifier": settings})
        write_json(own.recipe_path(self.label), recipe.model_dump(mode="json"))  # JSON is YAML
        if self.label not in own.expansions:
            own.edit_params(expansions=[*own.expansions, self.label])
        within, folders = replace(runtime, sink=self.say), dict[str, Path]()
        for stage in (*upstream(last), last):
            check()
            self.say(stage)
            source = self.bench.find_content(recipe) if stage == FIRST else None
            if stage == PRIOR and (source := self.bench.find_pool_content(recipe)) is not None:
                require_apart(own, recipe, source, folders[FIRST])
            materialize(own, self.label, stage, find_builder(stage), within, source=source)
            folders[stage] = own.output(self.label, stage)
        return folders

    def count_refused(self, arm: str) -> int | None:
        """The classes that the gate of variants refused; None for an arm without images of a generator of variants."""
        if arm not in self.bench.part.expanded or self.mixed is None:
            return None
        refused = read_refused(self.mixed["generated_images"])
        return None if refused is None else len(refused)

    def ask(self, arm: str, results: Sequence[Result]) -> Answers:
        """The mean answers of some networks of an arm to the evaluation images."""
        images, device = torch.from_numpy(to_nchw(self.evaluation.images)), self.bench.runtime.device
        precision, networks = self.recipe.classifier.precision, []
        for result in results:
            network = build_classifier(result.description)
            network.load_state_dict(load_file(result.path))
            networks.append(network.eval().requires_grad_(False).to(device))
        asked = Asked(networks, images, torch.from_numpy(self.evaluation.labels.copy()), device, precision)
        mean = ask_together(networks, images, precision, device)
        refused = self.count_refused(arm)
        learnt_from = self.read_training_images(arm)
        found = Answers(
            mean, self.evaluation.labels, self.train_counts, asked, self.nuisanced, refused, self.corrupted, learnt_from
        )
        if len(results) > 1 or arm in self.bench.part.ensembles:
            return found
        return replace(
            found,
            validation=results[0].validation,
            decided=self.settled[arm][1] if arm in self.settled else None,
            encoder=self.find_encoder(arm, networks[0], results[0].run.seed),
        )

    def find_encoder(self, arm: str, network: Classifier, seed: int) -> Encoder | None:
        """What label-free scores are measured of; None for an arm that learns from labels."""
        trained = self.find_trained(arm)
        if not is_contrastive(trained):
            return None
        held = torch.from_numpy(self.validation[0])
        return Encoder(
            network, trained.augmentation, seed, held, self.recipe.classifier.precision, self.bench.runtime.device
        )
