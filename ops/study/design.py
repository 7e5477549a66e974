"""What a study trains: the keys of `studies/<name>/grid.yaml`, as strict as a recipe's.

A study has parts, and a part is one of several kinds (`PARTS`). The part `classifiers` crosses named settings of a
recipe with numbers of steps, seeds and arms. It loads nothing that computes.
"""

from __future__ import annotations

from collections.abc import Container, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, ValidationError, model_validator

from ops.errors import UserError
from ops.recipe.changes import change_content
from ops.recipe.loading import explain, parse_recipe
from ops.recipe.ratios import list_ratios
from ops.recipe.schema import ArmName, Recipe
from ops.settings.kinds import OneOf
from ops.settings.reading import read_yaml
from ops.settings.section import Count, Section
from ops.study.budget import Budget, refuse_epochs
from ops.study.changes import POOL, UNLABELLED, Changes, join_changes, races, refuse_idle, require_both, split_size
from ops.study.measure_names import NUISANCED, ClassifierCurve, ClassifierMeasure, check_label_free
from ops.study.mixup_gan.design import MixupGanPart
from ops.study.part import Name, Names, Part, Seeds, Steps, refuse_repeats
from ops.study.pool import SOURCE, name_pool
from ops.study.searches import refuse_searches
from ops.study.sections import Arms, Claim, Images, Others, Quick, Way, check_claims, check_gains
from ops.study.unlabelled import hide_labels
from ops.workspaces.workspace import Workspace, suggest

GRID = "grid.yaml"
Measures = Annotated[tuple[ClassifierMeasure, ...], Field(strict=False, min_length=1), AfterValidator(refuse_repeats)]
Curves = Annotated[tuple[ClassifierCurve, ...], Field(strict=False), AfterValidator(refuse_repeats)]
Networks = Annotated[int, Field(ge=1, le=100)]


class ClassifierPart(Part):
    """Classifiers of several arms, on the images of each setting of a recipe."""

    kind: Literal["classifiers"] = Field("classifiers", description="arms of a recipe")
    images: Images
    recipe: str = Field(description="the recipe of this workspace that the settings change")
    set: dict[str, Any] = Field(default_factory=dict, description="changes for all settings, by dotted key")
    settings: Annotated[dict[Name, dict[str, Any]], Field(min_length=1)] = Field(
        description="named changes of the recipe"
    )
    varies: str = Field("setting", min_length=1, max_length=40, description="what the settings' names are, for tables")
    turns: dict[Name, Count] = Field(
        default_factory=dict, description="turns of settings that are not run in the part's own turn"
    )
    steps: Steps = Field(description="optimizer steps of the classifiers; each number is a block")
    budget: Budget = Field(
        "steps",
        description="steps: equal for all arms. epochs: arms under expanded take 1 + ratio times as many, so that all"
        " see each of their images equally often; the ratio is their own, or plan.ratio",
    )
    seeds: Seeds = Field(
        description="each seed draws other images and trains another generator and other classifiers, but no prior"
    )
    baselines: dict[ArmName, Any] = Field(default_factory=dict, description="arms without generated images")
    expanded: dict[ArmName, Any] = Field(
        default_factory=dict, description="arms with them; without these no generator is trained"
    )
    leave_out: dict[Name, Arms] = Field(
        default_factory=dict, description="arms under expanded that a setting does not train"
    )
    networks: dict[ArmName, Networks] = Field(
        default_factory=dict, description="networks of an arm in a block, if not 1"
    )
    ensembles: dict[ArmName, ArmName] = Field(
        default_factory=dict, description="arms whose answers are the mean over another arm's networks"
    )
    against: dict[Name, Name] = Field(
        default_factory=dict, description="settings that are compared with another setting, each arm with itself"
    )
    pairs: dict[ArmName, Others] = Field(
        default_factory=dict,
        description="arms that are compared with another arm, or each of a list of them, whatever they differ in",
    )
    shares: dict[ArmName, Way] = Field(
        default_factory=dict, description="arms whose gain is shown as a share of the gain of another arm, the ceiling"
    )
    measures: Measures = Field(
        ("accuracy",),
        description="what is measured; the figure is about the first one. Where arms have generated images, differences"
        " are about it, about head, middle and tail, about corrupted, about gaps, and about ekld to size_correlation."
        " These measure invariance and need data.nuisance. The last three are of arms that learn without labels",
    )
    gains: dict[Name, Names] = Field(
        default_factory=dict,
        description="settings with one generator and several numbers of data.images_per_class, over which a law of the"
        " gain is fitted for each baseline with several ratios under expanded; the names head the page's tables",
    )
    claims: dict[Name, Claim] = Field(
        default_factory=dict, description="what is said of gains, of which the page shows whether it held"
    )
    curves: Curves = Field(
        (),
        description="what is measured of each class and drawn over the classes' training images; ekld needs"
        " data.nuisance",
    )
    drawn: Annotated[tuple[ArmName, ...], Field(strict=False), AfterValidator(refuse_repeats)] = Field(
        (), description="arms that the figure shows, above the first of them; none: all arms, above the first one"
    )
    quick: Quick

    @model_validator(mode="after")
    def _check_names(self) -> ClassifierPart:
        arms = {**self.baselines, **self.expanded}
        if not arms:
            raise ValueError("it trains no arm; add one under baselines or expanded")
        check_label_free(self.measures, arms.values())
        for key, names in (("networks", self.networks), ("ensembles", self.ensembles.values())):
            _check_known(key, names, arms)
        if twice := [name for name in self.ensembles if name in arms]:
            raise ValueError(f"ensembles gives the name {twice[0]!r} of an arm; choose another")
        for key, compared in self._list_compared().items():
            _check_known(key, compared, {**arms, **self.ensembles})
        for key, settings in self._list_settings().items():
            if unknown := [name for name in settings if name not in self.settings]:
                raise ValueError(f"{key} names {unknown[0]!r}, which is not one of settings")
        self._check_left_out()
        check_claims(self.claims, self.measures)
        for name, claim in self.claims.items():
            for setting in claim.list_settings():
                if set(claim.arms) <= set(self.leave_out.get(setting, ())):
                    raise ValueError(f"claims.{name} names {setting!r}, which leaves out all arms of the claim")
        shared = join_changes({UNLABELLED: self.images.unlabelled}, self.set)
        check_gains(self.gains, {name: join_changes(shared, keys) for name, keys in self.settings.items()})
        return self

    def _list_settings(self) -> dict[str, list[str]]:
        """The settings that each key names."""
        return {
            "quick.settings": list(self.quick.settings),
            "against": [*self.against, *self.against.values()],
            "turns": list(self.turns),
            "leave_out": list(self.leave_out),
            "gains": [name for names in self.gains.values() for name in names],
            "claims": [name for claim in self.claims.values() for name in claim.list_settings()],
        }

    def _check_left_out(self) -> None:
        for setting, arms in self.leave_out.items():
            _check_known(f"leave_out.{setting}", arms, self.expanded, "an arm under expanded")
            if not self.list_expanded(setting):
                raise ValueError(f"leave_out.{setting} names every arm under expanded; keep one, or remove the setting")
        if self.budget == "epochs" and not self.expanded:
            raise ValueError("budget: epochs has no effect without arms under expanded; remove it")

    def list_expanded(self, setting: str) -> list[str]:
        """The arms under expanded that a setting trains."""
        return [name for name in self.expanded if name not in self.leave_out.get(setting, ())]

    def find_turn(self, setting: str) -> int:
        return self.turns.get(setting, self.turn)

    def _list_compared(self) -> dict[str, list[str]]:
        """The arms, ensembles among them, that each key names for the page."""
        ways = [(arm, way.over, way.ceiling) for arm, way in self.shares.items()]
        return {
            "pairs": [*self.pairs, *(other for others in self.pairs.values() for other in others)],
            "shares": [name for way in ways for name in way],
            "drawn": list(self.drawn),
            "claims": [name for claim in self.claims.values() for name in (*claim.arms, claim.over)],
        }

    @property
    def of_nuisance(self) -> str | None:
        """The first key and value that needs images with a nuisance: `measures: ekld`."""
        asked = {"measures": self.measures, "curves": self.curves}
        return next((f"{key}: {name}" for key, names in asked.items() for name in names if name in NUISANCED), None)

    def check(self, workspace: Workspace, place: str) -> None:
        """UserError where a setting or an arm does not fit the recipe."""
        recipes = [build_recipe(workspace, self, setting, place) for setting in self.settings]
        for setting in self.quick.settings:
            build_recipe(workspace, self, setting, place, quick=True)
        own = {name: recipes[0].baselines[name] for name in self.baselines}
        if self.gains and not any(list_ratios(own, recipe.expanded) for recipe in recipes):
            raise UserError(
                f"{place}: gains needs two arms under expanded that differ in their ratio alone, and the same arm under"
                " baselines"
            )


def _check_known(key: str, names: Iterable[str], arms: Container[str], what: str = "an arm") -> None:
    """ValueError for a name that is not one of the arms."""
    if unknown := [name for name in names if name not in arms]:
        raise ValueError(f"{key} names {unknown[0]!r}, which is not {what} of this part")


PARTS: dict[str, type[Part]] = {"classifiers": ClassifierPart, "mixup_gan": MixupGanPart}


class StudyDesign(Section):
    """A whole study."""

    question: str = Field(min_length=1, description="what it asks, one sentence")
    parts: Annotated[dict[Name, Annotated[Part, OneOf(PARTS)]], Field(min_length=1)]


@dataclass(frozen=True)
class Study:
    """A study of a workspace: its name, its folder `studies/<name>` and what it trains."""

    name: str
    folder: Path
    design: StudyDesign


def list_studies(workspace: Workspace) -> list[str]:
    """The names of the studies that a workspace has."""
    return sorted(path.parent.name for path in (workspace.root / "studies").glob(f"*/{GRID}"))


def load_study(workspace: Workspace, name: str) -> Study:
    """The study `name` with every setting of every part tried on its recipe; UserError for any mistake."""
    root = workspace.root / "studies"
    if not (known := list_studies(workspace)):
        raise UserError(f"this workspace has no study; to make one write {root / name / GRID}: growset docs studies")
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
    for part_name, part in design.parts.items():
        part.check(workspace, name_place(path, part_name))
    return Study(name, root / name, design)


def name_place(path: Path, part: str) -> str:
    """`studies/worth/grid.yaml, part 'worth'`, for messages."""
    return f"{path}, part '{part}'"


def find_changes(part: ClassifierPart, setting: str, here: str, *, quick: bool = False) -> Changes:
    """What a setting changes; `here` is for the messages."""
    joined = join_changes(part.set, part.settings[setting], part.quick.set if quick else {})
    refuse_idle(joined, here, is_raced=races(part.baselines, part.expanded))
    rest, pool = split_size(joined, POOL, part.images.pool, here)
    rest, unlabelled = split_size(rest, UNLABELLED, part.images.unlabelled, here)
    return Changes(rest, pool, unlabelled)


def build_recipe(
    workspace: Workspace, part: ClassifierPart, setting: str, place: str, *, quick: bool = False
) -> Recipe:
    """The recipe of one setting, with the part's arms and seed 0; `place` is for the messages.

    A recipe must have the arm `real` and an arm with generated images, which where images without labels are expanded
    needs a counterpart. Where the part has none, they are added to the recipe, and the study does not train them.
    """
    here = f"{place}, setting '{setting}'" + ", quick" * quick
    if part.recipe not in (known := workspace.available_recipes()):
        raise UserError(f"{place}: there is no recipe '{part.recipe}'; {suggest(part.recipe, known)}")
    base = workspace.recipe_path(part.recipe)
    content = read_yaml(base)
    if not isinstance(content, dict):
        raise UserError(f"{base} must hold recipe keys such as 'source:'; it holds {type(content).__name__}")
    changes, pool, unlabelled = find_changes(part, setting, here, quick=quick)
    try:
        changed, _ = change_content(content, changes, base)
    except UserError as error:
        raise UserError(f"{here}: {str(error).removeprefix('--set ')}") from None
    require_both(has_prior=changed.get("prior") is not None, pool=pool, here=here)
    if pool is not None and isinstance(changed["prior"], dict):
        changed["prior"] |= {"pool": name_pool(pool)}
    changed |= {
        "source": SOURCE,
        "seed": 0,
        "on_new_images": "retrain",  # a study's images never change, and a prior wants it
        "baselines": {"real": {}, **part.baselines},
        "expanded": {name: part.expanded[name] for name in part.list_expanded(setting)} or {"expanded": {}},
    }
    changed = hide_labels(changed, unlabelled, here, grows=bool(part.list_expanded(setting)))
    recipe = parse_recipe(changed, here)
    if part.of_nuisance and recipe.data.nuisance is None:
        raise UserError(
            f"{here}: {part.of_nuisance} needs data.nuisance, which this setting has not; it may be rotation,"
            " background or strokes"
        )
    refuse_searches(recipe, (part.quick.steps,) if quick else part.steps, here)
    if part.budget == "epochs":
        refuse_epochs(recipe, here)
    return recipe
