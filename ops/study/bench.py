"""The blocks and cells of a part `classifiers`, and all that decides the value of a cell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from ops.files.hashing import hash_json
from ops.recipe.arms import Arm
from ops.recipe.counterparts import list_teachers
from ops.recipe.fingerprints import stage_settings
from ops.recipe.schema import Recipe
from ops.recipe.stages import upstream
from ops.sources.reading import hash_source
from ops.sources.spec import load_source_spec
from ops.stages.materialization import Runtime
from ops.study.design import ClassifierPart, build_recipe
from ops.study.images import SOURCE, open_workspace
from ops.study.results import Block, Cell
from ops.workspaces.workspace import Workspace

FIRST, MIXED = "real_images", "mixed_dataset"
QUICK_IMAGES = 50  # of each class that a quick run evaluates on, at most


@dataclass(frozen=True)
class Bench:
    """A part, and where it works.

    name: of the part. main: the study's workspace. own: the workspace of its datasets and unfinished trainings.
    quick: everything is made small, and blocks are those of the part's `quick`.
    """

    name: str
    part: ClassifierPart
    main: Workspace
    own: Workspace
    runtime: Runtime
    quick: bool = False

    @property
    def measures(self) -> Sequence[str]:
        return self.part.measures

    @property
    def blocks(self) -> list[Block]:
        """In the order of the design: all steps and settings of the first seed come first."""
        part, quick = self.part, self.part.quick
        settings, steps, seeds = tuple(part.settings), part.steps, part.seeds
        if self.quick:
            settings, steps, seeds = quick.settings, (quick.steps,), seeds[:1]
        return [Block(self.name, setting, each, seed) for seed in seeds for each in steps for setting in settings]

    def build_recipe(self, block: Block) -> Recipe:
        """The recipe of a block, with its steps."""
        found = build_recipe(self.main, self.part, block.setting, self.name, seed=block.seed, quick=self.quick)
        return found.model_copy(update={"classifier": found.classifier.model_copy(update={"steps": block.steps})})

    def list_cells(self, block: Block) -> list[Cell]:
        """The cells of a block: each network of each arm, then the ensembles."""
        recipe, cells = self.build_recipe(block), list[Cell]()
        for arm in (*self.part.baselines, *self.part.expanded):
            identity = self._identify(recipe, arm)
            numbers = range(self.part.networks.get(arm, 1))
            cells += [Cell(block, arm, number, hash_json([identity, number])) for number in numbers]
        for name, of in self.part.ensembles.items():
            members = [cell.fingerprint for cell in cells if cell.arm == of]
            cells.append(Cell(block, name, 0, hash_json(["ensemble", *members])))
        return cells

    @cached_property
    def content(self) -> str:
        """Content hash of the study's images."""
        return hash_source(load_source_spec(self.own.source_path(SOURCE)), self.own.source_hash_cache(SOURCE))

    def _identify(self, recipe: Recipe, arm: str) -> Any:
        """All that decides the networks of an arm: its images, its settings, and those of its teachers."""
        is_expanded = arm in self.part.expanded
        section: Arm = (recipe.expanded if is_expanded else recipe.baselines)[arm]
        stages = (
            [stage for stage in (*upstream(MIXED), MIXED) if stage != "training_policy"] if is_expanded else [FIRST]
        )
        trained = "expanded_classifiers" if is_expanded else "baseline_classifiers"
        found: dict[str, Any] = {
            "source": self.content,
            "stages": [[each, self.main.stage_version(each), stage_settings(recipe, each)] for each in stages],
            "trained": self.main.stage_version(trained),
            "classifier": recipe.classifier.model_dump(mode="json", exclude={"seeds", "race"}),
            "arm": section.model_dump(mode="json"),
        }
        for teacher in list_teachers({arm: section}):
            found["teachers"] = [self.part.networks.get(teacher, 1), self._identify(recipe, teacher)]
        return found


def open_bench(name: str, part: ClassifierPart, main: Workspace, area: Path, runtime: Runtime, *, quick: bool) -> Bench:
    """The part with its workspace in the folder `area`, where its images are put aside."""
    images = part.images
    if quick:
        images = images.model_copy(update={"evaluation": min(QUICK_IMAGES, images.evaluation)})
    return Bench(name, part, main, open_workspace(area, main, images, name), runtime, quick)
