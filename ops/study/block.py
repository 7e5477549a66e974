"""Run a block of a part `classifiers`: make its datasets, train its arms, measure each network.

Stages of the chain make the datasets, up to the mixed one. The trainings are those of a tournament, without a choice.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file

from ops.chain import find_builder
from ops.chain.parts.classifiers import keep_networks, weights_file
from ops.chain.parts.examples import read_mixed_sets, read_real
from ops.classifiers.answering import predict
from ops.classifiers.examples import Examples
from ops.classifiers.networks.classifier import build_classifier
from ops.classifiers.tournament import Contest, Result, Run, train_runs
from ops.datasets.axes import to_nchw
from ops.datasets.pixels import read_split
from ops.files.hashing import hash_json
from ops.files.storage import write_json
from ops.recipe.arms import Arm
from ops.recipe.counterparts import list_teachers
from ops.recipe.schema import Recipe
from ops.recipe.stages import upstream
from ops.stages.materialization import materialize
from ops.stages.unused import read_unused
from ops.study.bench import FIRST, MIXED, Bench
from ops.study.measures import MEASURES, Answers
from ops.study.results import Block, Cell, Row
from ops.verdict.same_compute import average_probabilities


def run_block(bench: Bench, block: Block, cells: Sequence[Cell]) -> Iterator[list[Row]]:
    """Make `cells` of the block in groups of arms; yields the rows of each finished group.

    Finished trainings lie in the bench's workspace until the block is complete, so an interrupted group resumes.
    """
    work = _Work(bench, block, bench.build_recipe(block))
    for arms in work.list_groups():
        if wanted := [cell for cell in cells if cell.arm in arms]:
            started = time.monotonic()
            found = work.run_group(arms, wanted)
            share = (time.monotonic() - started) / len(wanted)
            yield _to_rows(bench, found, share)
    if ensembles := [cell for cell in cells if cell.arm in bench.part.ensembles]:
        yield _to_rows(bench, {cell: work.ask_ensemble(cell.arm) for cell in ensembles}, 0.0)
    shutil.rmtree(work.scratch, ignore_errors=True)


def _to_rows(bench: Bench, found: Mapping[Cell, Answers | None], seconds: float) -> list[Row]:
    return [
        Row(cell, measure, None if answers is None else MEASURES[measure](answers), seconds)
        for cell, answers in found.items()
        for measure in bench.measures
    ]


@dataclass(frozen=True)
class _Work:
    bench: Bench
    block: Block
    recipe: Recipe

    @property
    def label(self) -> str:
        block = self.block
        return f"{block.part}-{block.setting}-seed{block.seed}"

    @property
    def scratch(self) -> Path:
        return self.bench.own.root / "trainings" / f"{self.label}-{self.block.steps}"

    def list_groups(self) -> list[dict[str, Arm]]:
        """The arms in the order of training: those without a teacher, with one, with generated images."""
        part, recipe = self.bench.part, self.recipe
        untaught = {name: recipe.baselines[name] for name in part.baselines}
        taught = {name: arm for name, arm in untaught.items() if arm.targets.kind != "labels"}
        untaught = {name: arm for name, arm in untaught.items() if name not in taught}
        return [untaught, taught, {name: recipe.expanded[name] for name in part.expanded}]

    def run_group(self, arms: Mapping[str, Arm], cells: Sequence[Cell]) -> dict[Cell, Answers | None]:
        """The answers of the cells, which are of these arms; None for all where the generator was not used."""
        is_expanded = cells[0].arm in self.bench.part.expanded
        inputs = self.make_images(MIXED if is_expanded else FIRST)
        if is_expanded and (why := read_unused(inputs["generated_images"])):
            self.bench.runtime.sink(f"{self.block.name}: generator not used: {why}")
            return dict.fromkeys(cells)
        teachers = {arm: self.keep_teachers(arm) for arm in list_teachers(arms)}
        examples = next(read_mixed_sets(inputs, arms)) if is_expanded else read_real(inputs)
        found = self.train(arms, examples, [(cell.arm, cell.network) for cell in cells], teachers)
        return {cell: self.ask([result]) for cell, result in zip(cells, found, strict=True)}

    def make_images(self, last: str) -> dict[str, Path]:
        """The folders of the stages up to `last`, made where they are missing; all steps of a setting share them."""
        own, runtime = self.bench.own, self.bench.runtime
        settings = self.recipe.classifier.model_copy(update={"steps": self.bench.part.steps[0]})
        recipe = self.recipe.model_copy(update={"classifier": settings})
        write_json(own.recipe_path(self.label), recipe.model_dump(mode="json"))  # JSON is YAML
        if self.label not in own.expansions:
            own.edit_params(expansions=[*own.expansions, self.label])
        within = replace(runtime, sink=lambda line: runtime.sink(f"{self.block.name}: {line}"))
        stages = (*upstream(last), last)
        for stage in stages:
            source = self.bench.content if stage == FIRST else None
            materialize(own, self.label, stage, find_builder(stage), within, source=source)
        return {stage: own.output(self.label, stage) for stage in stages}

    def train(
        self,
        arms: Mapping[str, Arm],
        examples: Examples,
        wanted: Sequence[tuple[str, int]],
        teachers: Mapping[str, Path],
    ) -> list[Result]:
        """The results of the wanted networks, by arm and number; finished ones are read."""
        runtime = self.bench.runtime
        validation = read_split(self.make_images(FIRST)[FIRST], "validation")
        contest = Contest(
            arms=dict(arms),
            training=(examples,),
            first_seed=self.recipe.seed * 1000,
            validation=(to_nchw(validation.images), validation.labels),
            settings=self.recipe.classifier,
            metric="accuracy",
            classes=len(validation.class_names),
            scratch=self.scratch / hash_json({name: arm.model_dump(mode="json") for name, arm in arms.items()})[:16],
            device=runtime.device,
            teachers=dict(teachers),
        )
        settings = {name: contest.list_settings(name)[0] for name in arms}
        runs = [Run(arm, settings[arm], contest.first_seed + number) for arm, number in wanted]
        progress = runtime.progress(self.block.name, len(runs), "trainings")
        done = train_runs(contest, runs, runtime.workers, progress)
        return [done[run] for run in runs]

    def train_all(self, arm: str) -> list[Result]:
        """All networks of a baseline arm without a teacher."""
        numbers = range(self.bench.part.networks.get(arm, 1))
        return self.train(
            self.list_groups()[0], read_real(self.make_images(FIRST)), [(arm, each) for each in numbers], {}
        )

    def keep_teachers(self, arm: str) -> Path:
        """The file with all networks of an arm that teaches."""
        folder = self.scratch / "teachers"
        folder.mkdir(parents=True, exist_ok=True)
        keep_networks(folder, arm, self.train_all(arm))
        return folder / weights_file(arm)

    def ask_ensemble(self, name: str) -> Answers:
        """The mean answers of the networks of the arm that the ensemble is of."""
        return self.ask(self.train_all(self.bench.part.ensembles[name]))

    def ask(self, results: Sequence[Result]) -> Answers:
        """The mean answers of some networks to the evaluation images."""
        folder, runtime = self.make_images(FIRST)[FIRST], self.bench.runtime
        evaluation, train = read_split(folder, "test"), read_split(folder, "train")
        images = torch.from_numpy(to_nchw(evaluation.images))
        each = []
        for result in results:
            network = build_classifier(result.description)
            network.load_state_dict(load_file(result.path))
            logits = predict(
                network.eval().to(runtime.device),
                images,
                precision=self.recipe.classifier.precision,
                device=runtime.device,
            )
            each.append(logits.double().softmax(dim=1).numpy())
        counts = np.bincount(train.labels, minlength=len(train.class_names)).tolist()
        return Answers(average_probabilities(np.stack(each)), evaluation.labels, counts)
