"""What a study trains: the keys of `studies/<name>/grid.yaml`, as strict as a recipe's.

A study has parts, and a part is one of several kinds. The part `classifiers` crosses named settings of a recipe with
numbers of steps, seeds and arms. It loads nothing that computes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationError, model_validator

from ops.errors import UserError
from ops.recipe.changes import change_content
from ops.recipe.loading import explain, parse_recipe
from ops.recipe.schema import ArmName, Recipe
from ops.settings.kinds import Kind, OneOf
from ops.settings.reading import read_yaml
from ops.settings.section import Count, Section
from ops.workspaces.workspace import Workspace, suggest

GRID = "grid.yaml"
ClassifierMeasure = Literal[
    "accuracy", "balanced_accuracy", "worst_class", "head", "middle", "tail", "calibration_error"
]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_+.-]*$"), BeforeValidator(lambda name: str(name))]
Seeds = Annotated[tuple[Annotated[int, Field(ge=0, le=10_000)], ...], Field(strict=False, min_length=1)]
Steps = Annotated[tuple[Count, ...], Field(strict=False, min_length=1)]


class Images(Section):
    """Where a study's images come from. Its test images are not opened: others of its training images evaluate."""

    source: dict[str, Any] = Field(description="as in sources/*.yaml; a relative path starts at the workspace")
    evaluation: Count = Field(1000, description="training images of each class that are put aside for evaluation")
    validation: Count = Field(100, description="training images of each class that become the validation split")
    seed: int = Field(0, ge=0, description="of the draw of both, which all settings share")


class Quick(Section):
    """A part made small, to see in less than a minute that it runs; nothing of it is kept."""

    settings: Annotated[tuple[Name, ...], Field(strict=False, min_length=1)] = Field(description="those that are run")
    steps: Count = Field(20, description="optimizer steps of every classifier")
    set: dict[str, Any] = Field(default_factory=dict, description="further changes of the recipe")


class ClassifierPart(Kind):
    """Classifiers of several arms, on the images of each setting of a recipe."""

    kind: Literal["classifiers"] = Field("classifiers", description="arms of a recipe")
    images: Images
    recipe: str = Field(description="the recipe of this workspace that the settings change")
    set: dict[str, Any] = Field(default_factory=dict, description="changes for all settings, by dotted key")
    settings: Annotated[dict[Name, dict[str, Any]], Field(min_length=1)] = Field(
        description="named changes of the recipe"
    )
    steps: Steps = Field(description="optimizer steps of the classifiers; each number is a block")
    seeds: Seeds = Field(description="each seed draws other images and trains another generator and other classifiers")
    baselines: dict[ArmName, Any] = Field(default_factory=dict, description="arms without generated images")
    expanded: dict[ArmName, Any] = Field(
        default_factory=dict, description="arms with them; without these no generator is trained"
    )
    networks: dict[ArmName, Count] = Field(default_factory=dict, description="networks of an arm in a block, if not 1")
    ensembles: dict[ArmName, ArmName] = Field(
        default_factory=dict, description="arms whose answers are the mean over another arm's networks"
    )
    measures: Annotated[tuple[ClassifierMeasure, ...], Field(strict=False, min_length=1)] = ("accuracy",)
    quick: Quick

    @model_validator(mode="after")
    def _check_names(self) -> ClassifierPart:
        arms = {**self.baselines, **self.expanded}
        if not arms:
            raise ValueError("it trains no arm; add one under baselines or expanded")
        for key, names in (("networks", self.networks), ("ensembles", self.ensembles.values())):
            if unknown := [name for name in names if name not in arms]:
                raise ValueError(f"{key} names {unknown[0]!r}, which is not an arm of this part")
        if twice := [name for name in self.ensembles if name in arms]:
            raise ValueError(f"ensembles gives the name {twice[0]!r} of an arm; choose another")
        if unknown := [name for name in self.quick.settings if name not in self.settings]:
            raise ValueError(f"quick.settings names {unknown[0]!r}, which is not one of settings")
        return self


PARTS: dict[str, type[Kind]] = {"classifiers": ClassifierPart}


class StudyDesign(Section):
    """A whole study."""

    question: str = Field(min_length=1, description="what it asks, one sentence")
    parts: Annotated[dict[Name, Annotated[Kind, OneOf(PARTS)]], Field(min_length=1)]


@dataclass(frozen=True)
class Study:
    """A study of a workspace: its name, its folder `studies/<name>` and what it trains."""

    name: str
    folder: Path
    design: StudyDesign


def load_study(workspace: Workspace, name: str) -> Study:
    """The study `name` with every setting of every part tried on its recipe; UserError for any mistake."""
    root = workspace.root / "studies"
    known = sorted(path.parent.name for path in root.glob(f"*/{GRID}"))
    if name not in known:
        raise UserError(f"there is no study '{name}' in {root}; {suggest(name, known)}")
    path = root / name / GRID
    content = read_yaml(path)
    if not isinstance(content, dict):
        raise UserError(f"{path} must hold 'question:' and 'parts:'; it holds {type(content).__name__}")
    try:
        design = StudyDesign.model_validate(content)
    except ValidationError as error:
        raise UserError(explain(error, path, StudyDesign)) from None
    for part in design.parts.values():
        if isinstance(part, ClassifierPart):
            for setting in part.settings:
                build_recipe(workspace, part, setting, path)
    return Study(name, root / name, design)


def build_recipe(
    workspace: Workspace, part: ClassifierPart, setting: str, path: Path | str, *, seed: int = 0, quick: bool = False
) -> Recipe:
    """The recipe of one setting and seed, with the part's arms; `path` is for the messages.

    A recipe must have the arm `real` and an arm with generated images. Where the part has none, they are added to the
    recipe, and the study does not train them.
    """
    base = workspace.recipe_path(part.recipe)
    if not base.is_file():
        known = workspace.available_recipes()
        raise UserError(f"{path}: there is no recipe '{part.recipe}'; {suggest(part.recipe, known)}")
    changes: Mapping[str, Any] = {**part.set, **part.settings[setting], **(part.quick.set if quick else {})}
    content, _ = change_content(read_yaml(base), changes, base)
    content |= {
        "source": "images",
        "seed": seed,
        "baselines": {"real": {}, **part.baselines},
        "expanded": dict(part.expanded) or {"expanded": {}},
    }
    recipe = parse_recipe(content, f"{path}, setting {setting!r}")
    if recipe.tuning.policy:
        raise UserError(f"{path}, setting {setting!r}: tuning.policy must be false; a study compares chosen settings")
    if recipe.classifier.grid.steps or any(len(values) > 1 for values in recipe.classifier.grid.axes.values()):
        raise UserError(f"{path}, setting {setting!r}: classifier.grid must have one value for each key, and no steps")
    return recipe
