"""The blocks and cells of a part `classifiers`, and all that decides the value of a cell."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from ops.chain.contents import read_content
from ops.chain.driver import require_validation
from ops.chain.parts.classifiers import name_scratch
from ops.chain.parts.pools import PRIOR
from ops.chain.real_images import source_content
from ops.errors import UserError
from ops.files.hashing import hash_json
from ops.generators.registry import KINDS
from ops.planning.plan import plan_expansion
from ops.recipe.arms import Arm
from ops.recipe.automatic import is_automatic
from ops.recipe.counterparts import list_teachers
from ops.recipe.fingerprints import stage_settings
from ops.recipe.grid import set_numbers
from ops.recipe.pool_arms import needs_encoder, sees_pool
from ops.recipe.ratios import check_smallest_ratios
from ops.recipe.schema import Recipe
from ops.recipe.stages import upstream
from ops.recipe.variants import check_class_sizes
from ops.sources.reading import hash_source
from ops.sources.spec import load_source_spec
from ops.stages.materialization import Runtime
from ops.study.budget import pick_setting, shrink_trainers
from ops.study.changes import races
from ops.study.controlled import list_races
from ops.study.corrupted import Corrupted
from ops.study.curves import list_rows
from ops.study.design import GRID, ClassifierPart, Study, build_recipe, find_changes, name_place
from ops.study.images import check_sizes, open_workspace
from ops.study.measure_names import DECIDED
from ops.study.pool import QUICK_POOL, SOURCE, PoolSize, put_pool, read_shape
from ops.study.results import Block, Cell, find_missing
from ops.study.unlabelled import choose_unlabelled, count_largest, name_drawn
from ops.workspaces.workspace import Workspace

FIRST, MIXED = "real_images", "mixed_dataset"
NAMED_FIRST = (FIRST, "expansion_plan")  # in fingerprints, so that results outlive another order of the chain
QUICK_IMAGES = 50  # of each class that a quick run evaluates on, at most
VERSION = 1  # raise it where the study itself, its measures included, gives another value for the same settings


@dataclass(frozen=True)
class Bench:
    """A part, and where it works.

    name: of the part. place: for messages. main: the study's workspace. own: the workspace of its datasets and
    unfinished trainings. quick: everything is made small, and blocks are those of the part's `quick`. corrupted:
    evaluation images with corruptions, by a hash of those without; filled when they are needed.
    """

    name: str
    place: str
    part: ClassifierPart
    main: Workspace
    own: Workspace
    runtime: Runtime
    quick: bool = False
    corrupted: dict[str, Corrupted] = field(default_factory=dict, compare=False)

    @cached_property
    def measures(self) -> Sequence[str]:
        """Those of the part, then the ranks of its curves."""
        classes = len(load_source_spec(self.own.source_path(SOURCE)).class_names or ())
        return [*self.part.measures, *list_rows(self.part.curves, classes)]

    def list_measures(self, cell: Cell) -> list[str]:
        """What is measured of a cell that is made: also its validation, where an arm says auto.

        A finished cell is not made again for its validation: another arm may say auto later.
        """
        noted = DECIDED[:1] * races(self.part.baselines, self.part.expanded)
        return list(dict.fromkeys([*self.measures, *cell.own, *noted]))

    @cached_property
    def blocks(self) -> list[Block]:
        """In the order of the design: all steps and settings of the first seed come first."""
        part, quick = self.part, self.part.quick
        settings, steps, seeds = tuple(part.settings), part.steps, part.seeds
        if self.quick:
            settings, steps, seeds = quick.settings, (quick.steps,), seeds[:1]
        return [Block(self.name, setting, each, seed) for seed in seeds for each in steps for setting in settings]

    @cached_property
    def recipes(self) -> dict[str, Recipe]:
        """The recipe of each setting, with seed 0."""
        names = dict.fromkeys(block.setting for block in self.blocks)
        found = {name: build_recipe(self.main, self.part, name, self.place, quick=self.quick) for name in names}
        return (
            {name: shrink_trainers(each, self.part.quick.steps) for name, each in found.items()}
            if self.quick
            else found
        )

    def build_recipe(self, block: Block) -> Recipe:
        """The recipe of a block, with its seed and steps."""
        size = self.find_unlabelled(block.setting)
        found = name_drawn(self.recipes[block.setting], block.seed, size, self._largest[block.setting])
        classifier = found.classifier.model_copy(update={"steps": block.steps})
        return found.model_copy(update={"seed": block.seed, "classifier": classifier})

    def find_unlabelled(self, setting: str) -> PoolSize | None:
        """How many images a setting expands without their labels; None where it expands labelled ones."""
        return find_changes(self.part, setting, self.place, quick=self.quick).unlabelled

    def find_content(self, recipe: Recipe) -> str:
        """Content hash of a block's source; where labels are hidden, once it is put there."""
        return self.content if recipe.data.unlabelled is None else source_content(self.own, recipe)

    def count_networks(self, arm: str) -> int:
        """Networks of an arm in a block; one in a quick run."""
        return 1 if self.quick else self.part.networks.get(arm, 1)

    def list_cells(self, block: Block) -> list[Cell]:
        """The cells of a block: each network of each arm, then the ensembles."""
        return self._cells[block]

    def name_arms(self, block: Block) -> dict[str, str]:
        """The fingerprint of what decides an arm's networks, for each arm of a block."""
        return self._names[block]

    @property
    def scratch(self) -> Path:
        """The folder of networks whose block is not complete; a file's name begins with its arm's fingerprint."""
        return self.own.root / "trainings" / name_scratch(self.name, self.runtime.device)

    def drop_networks(self, found: pl.DataFrame) -> None:
        """Delete the networks that no incomplete block needs. found: the results so far."""
        cells = [cell for block in self.blocks for cell in self.list_cells(block)]
        waiting = {cell.block for cell in find_missing(cells, self.measures, found)}
        needed = {name for block in waiting for name in self.name_arms(block).values()}
        for path in self.scratch.glob("*.safetensors"):
            if path.name.partition("_")[0] not in needed:
                path.unlink(missing_ok=True)
        for folder in list_races(self.scratch):
            if folder.name.partition("-")[0] not in needed:
                shutil.rmtree(folder)

    @cached_property
    def content(self) -> str:
        """Content hash of the study's images."""
        return hash_source(load_source_spec(self.own.source_path(SOURCE)), self.own.source_hash_cache(SOURCE))

    def find_pool_content(self, recipe: Recipe) -> str | None:
        """Content hash of the images that a recipe's prior learns from; None without one."""
        return read_content(self.own, recipe, PRIOR)

    @cached_property
    def _largest(self) -> dict[str, int]:
        """Images of the largest class among those that each setting expands without labels."""
        return {
            name: count_largest(self.own, self.find_unlabelled(name), recipe.data.classes)
            for name, recipe in self.recipes.items()
        }

    @cached_property
    def _names(self) -> dict[Block, dict[str, str]]:
        found = {}
        for block in self.blocks:
            given = _Given(self, self.build_recipe(block))
            arms = (*self.part.baselines, *self.part.list_expanded(block.setting))
            found[block] = {arm: hash_json(given.identify(arm)) for arm in arms}
        return found

    @cached_property
    def _cells(self) -> dict[Block, list[Cell]]:
        return {block: self._build_cells(block) for block in self.blocks}

    def _build_cells(self, block: Block) -> list[Cell]:
        cells = list[Cell]()
        for arm, identity in self.name_arms(block).items():
            numbers = range(self.count_networks(arm))
            own = DECIDED * races({arm: {**self.part.baselines, **self.part.expanded}[arm]})
            cells += [Cell(block, arm, number, hash_json([identity, number]), own) for number in numbers]
        for name, of in self.part.ensembles.items():
            if members := [cell.fingerprint for cell in cells if cell.arm == of]:
                cells.append(Cell(block, name, 0, hash_json(["ensemble", *members])))
        return cells


class _Given:
    """What decides the networks of a recipe's arms: images, settings, and the networks that teach.

    Names decide nothing: an arm or a setting that is renamed, or that equals another one, has the same fingerprint.
    """

    def __init__(self, bench: Bench, recipe: Recipe) -> None:
        self.bench, self.recipe = bench, recipe

    def identify(self, arm: str) -> dict[str, Any]:
        is_expanded = arm in self.bench.part.expanded
        section: Arm = (self.recipe.expanded if is_expanded else self.recipe.baselines)[arm]
        setting = pick_setting(self.recipe, section, self.bench.part.budget, is_expanded=is_expanded)
        found: dict[str, Any] = {
            "study": VERSION,
            "source": self.bench.content,
            "stages": self.mixed if is_expanded else self.real,
            "trained": self.bench.main.stage_version("expanded_classifiers" if is_expanded else "baseline_classifiers"),
            "classifier": self.recipe.classifier.model_dump(mode="json", exclude={"seeds", "race", "grid"}),
            "seed": self.recipe.seed,
            "rates": [setting["learning_rate"], setting["weight_decay"]],
            "arm": set_numbers(section, setting).model_dump(mode="json"),
        }
        if (steps := setting.get("steps")) is not None:
            found["classifier"]["steps"] = int(steps)
        if is_automatic(section):
            found["raced_for"] = self.recipe.classifier.seeds
        if sees_pool(section):
            found["pool"] = self.bench.find_pool_content(self.recipe)
        if needs_encoder(section):
            found["prior"] = self._describe(PRIOR)
        for teacher in list_teachers({arm: section}):
            del found["arm"]["targets"]["of"]
            found["teachers"] = [self.bench.count_networks(teacher), self.identify(teacher)]
        return found

    @cached_property
    def real(self) -> list[Any]:
        return [self._describe(FIRST)]

    @cached_property
    def mixed(self) -> list[Any]:
        # With tuning.policy false, the stage training_policy chooses nothing.
        idle = ("training_policy", *([PRIOR] if self.recipe.prior is None else []))
        stages = [each for each in (*upstream(MIXED), MIXED) if each not in idle]
        stages.sort(key=lambda stage: stage not in NAMED_FIRST)
        found = [self._describe(each) for each in stages]
        return found if self.recipe.prior is None else [*found, ["pool", self.bench.find_pool_content(self.recipe)]]

    def _describe(self, stage: str) -> list[Any]:
        return [stage, self.bench.main.stage_version(stage), stage_settings(self.recipe, stage)]


def open_bench(study: Study, name: str, main: Workspace, area: Path, runtime: Runtime, *, quick: bool) -> Bench:
    """A part with its workspace in the folder `area`, where its images are put aside.

    UserError for a source or a class that is not there, for a setting that wants more images than there are, labelled
    or in its pool, and for images that are too small for its prior.
    """
    part = study.design.parts[name]
    assert isinstance(part, ClassifierPart)
    place, images = name_place(study.folder / GRID, name), part.images
    if quick:
        images = images.model_copy(update={"evaluation": min(QUICK_IMAGES, images.evaluation)})
    bench = Bench(name, place, part, main, open_workspace(area, main, images, place), runtime, quick)
    for block in bench.blocks:
        if block.steps == bench.blocks[0].steps:
            _check_block(bench, block, quick=quick)
    return bench


def _check_block(bench: Bench, block: Block, *, quick: bool) -> None:
    """Count a block's images before any is read, and put its setting's pool beside them."""
    recipe, here = bench.build_recipe(block), f"{bench.place}, setting '{block.setting}'"
    _, pool, size = find_changes(bench.part, block.setting, here, quick=quick)
    try:
        rows = None if size is None else choose_unlabelled(bench.own, size, recipe.data.classes, block.seed)
    except UserError as error:
        raise UserError(f"{here}: {error}") from None
    sizes = check_sizes(bench.own, recipe.data, block.seed, here, rows)
    grown = sizes if rows is None else np.array([len(rows)])
    plan = plan_expansion(grown, tuple(map(str, range(len(grown)))), recipe.plan)
    try:
        check_class_sizes(sizes, {**recipe.baselines, **recipe.expanded})
        check_smallest_ratios(recipe.expanded, grown.tolist(), [entry.wanted for entry in plan.classes])
    except ValueError as error:
        raise UserError(f"{here}: {error}") from None
    if not quick:
        each = min(bench.part.images.validation, recipe.data.images_per_class or bench.part.images.validation)
        require_validation(recipe, each * len(sizes), here)
    if pool is not None:
        _open_pool(bench, recipe, pool, here)


def _open_pool(bench: Bench, recipe: Recipe, size: PoolSize, here: str) -> None:
    """Put a setting's pool beside the study's images."""
    settings = recipe.prior
    assert settings is not None, "the design refuses a pool without a prior"
    try:
        put_pool(bench.own, size, bench.part.images.seed, most=QUICK_POOL if bench.quick else None)
        KINDS[settings.kind].check(settings, bench.main.root, (), read_shape(bench.own))
    except UserError as error:
        raise UserError(f"{here}: {error}") from None
