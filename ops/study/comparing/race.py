"""A race of recipes as it is kept: the steps of every rung, and what the finished rungs showed.

All steps are settled before the first rung, so that a race that was stopped goes on with what is missing, however fast
the machine is by then. The module does not know how steps are fitted to a time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ops.chain.contents import read_contents
from ops.chain.real_images import describe_source, describe_unlabelled, source_content, try_source
from ops.errors import EnvironmentFault, UserError
from ops.files.hashing import hash_file, hash_json
from ops.files.storage import read_json, write_json
from ops.recipe.changes import Changes
from ops.recipe.fingerprints import stage_settings
from ops.recipe.schema import Recipe
from ops.recipe.stages import STAGES
from ops.stages.materialization import Runtime
from ops.study.comparing.halving import run_rungs
from ops.study.comparing.recipes import Candidate
from ops.study.comparing.rungs import Rung, run_rung
from ops.study.comparing.same_images import FEWEST, RULE, require_same_images, require_several
from ops.workspaces.races import RaceWorkspace
from ops.workspaces.workspace import Workspace

PLANNED, RUNGS, COPY = "race.json", "rungs.json", "copy.json"
Plan = Mapping[str, Sequence[Changes]]
"""By recipe the changes to its steps in each rung, and last those of the winner's whole run."""


def require_race(workspace: Workspace, names: Sequence[str]) -> None:
    """UserError unless recipes with these names can race: two or more, of the same images, judged by the same score on
    one split."""
    found = f"here is {names[0]} alone" if names else "here is none"
    require_several(
        names,
        f"a race needs at least {FEWEST} recipes of the same images, and {found}; make another one with:"
        " growset new NAME --from RECIPE --source SOURCE",
    )
    recipes = {name: workspace.load_recipe(name, active=False) for name in names}
    for name, recipe in recipes.items():
        if recipe.verdict.folds is not None:
            raise UserError(f"'{name}' has verdict.folds, and a race is judged on one validation split; remove it")
    require_same_images(
        [
            Candidate(name, recipe.source, stage_settings(recipe, "real_images")["data"], None, None, None, [])
            for name, recipe in recipes.items()
        ]
    )
    metrics = {name: recipe.verdict.metric for name, recipe in recipes.items()}
    if len(set(metrics.values())) > 1:
        told = ", ".join(f"'{name}' {metric or 'null'}" for name, metric in metrics.items())
        raise UserError(f"recipes race for one score, and verdict.metric differs ({told}); give all the same")
    _require_same_draws(workspace, recipes)


def _require_same_draws(workspace: Workspace, recipes: Mapping[str, Recipe]) -> None:
    """UserError where recipes with different seeds take different images from the source; each seed's are read once."""
    by_seed: dict[int, tuple[str, Recipe]] = {}
    for name, recipe in recipes.items():
        by_seed.setdefault(recipe.seed, (name, recipe))
    first, *others = by_seed.values()
    if not others:
        return

    def read(recipe: Recipe) -> Mapping[str, frozenset[str]]:
        content = source_content(workspace, recipe)
        spec = describe_source(workspace, recipe)
        return try_source(spec, describe_unlabelled(workspace, recipe), recipe, content).ids

    wanted = read(first[1])
    for name, recipe in others:
        if read(recipe) != wanted:
            raise UserError(
                f"'{name}' has other images than '{first[0]}' (seed {recipe.seed} draws others than"
                f" {first[1].seed}); {RULE}; give all the same seed"
            )


def list_rivals(workspace: Workspace) -> list[str]:
    """All recipes of the workspace that read the images of its active expansions, which must be the same for all.

    Copies of winners with fewer steps are left out: they have won already. UserError where the images differ.
    """
    reads, copies = {}, list_copies(workspace)
    for name in workspace.available_recipes():
        if name in copies:
            continue
        recipe = workspace.load_recipe(name, active=False)
        if recipe.verdict.folds is None:
            reads[name] = recipe.source, stage_settings(recipe, "real_images")["data"]
    wanted = [reads[name] for name in workspace.expansions if name in reads]
    if any(each != wanted[0] for each in wanted):
        raise UserError("the active expansions read different images; name the recipes that are to race")
    return [name for name, each in reads.items() if wanted and each == wanted[0]]


def list_copies(workspace: Workspace) -> list[str]:
    """The recipes that races of this workspace made of their winners, with steps that fit."""
    folder = RaceWorkspace(workspace.root).area  # of all races
    return sorted({read_json(path)["copy"] for path in folder.glob(f"*/{COPY}")})


def record_copy(race: RaceWorkspace, winner: str, copy: str) -> None:
    """Keep in the race's folder that the recipe `copy` is its winner's; call it before the recipe is written."""
    write_json(race.area / COPY, {"winner": winner, "copy": copy})


def open_race(workspace: Workspace, names: Sequence[str], minutes: float) -> RaceWorkspace:
    """The area of a race in so many minutes: another one if a recipe's file, the images, or a stage's code changed."""
    facts = {
        "recipes": {name: hash_file(workspace.recipe_path(name)) for name in names},
        "images": {name: read_contents(workspace, workspace.load_recipe(name, active=False)) for name in names},
        "stages": {stage: workspace.stage_version(stage) for stage in STAGES},
        "order": list(names),
        "minutes": minutes,
    }
    return RaceWorkspace(workspace.root, key=hash_json(facts)[:16], fitted={name: {} for name in names})


def settle_plan(race: RaceWorkspace, fit: Callable[[], Plan]) -> Plan:
    """The plan of the race: the kept one, or that of `fit`, which is kept."""
    path = race.area / PLANNED
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, fit())
    plan: Plan = read_json(path)
    return plan


def hold_race(
    race: RaceWorkspace, plan: Plan, runtime: Runtime, find_key: Callable[[], str]
) -> tuple[str | None, list[dict[str, Any]]]:
    """Run the rungs that are missing; returns the winner, None if no arm of the last rung learnt from generated images,
    and the rungs as plain JSON.

    find_key: the race's key by the files as they are now. EnvironmentFault if it changes beside a rung, which is not
    kept then.
    """
    path = race.area / RUNGS
    rungs: list[dict[str, Any]] = read_json(path) if path.exists() else []

    def run(number: int, left: Sequence[str]) -> dict[str, float | None]:
        if number == len(rungs):
            _require_unchanged(race, find_key())
            fitted = {name: plan[name][number] for name in left}
            found: Rung = run_rung(RaceWorkspace(race.root, key=race.key, fitted=fitted), left, runtime)
            _require_unchanged(race, find_key())
            rungs.append(found.to_dict())
            write_json(path, rungs)
        return {row["recipe"]: row["score"] for row in rungs[number]["rows"]}

    return run_rungs(list(plan), run), rungs


def _require_unchanged(race: RaceWorkspace, key: str) -> None:
    if key != race.key:
        raise EnvironmentFault(
            "a recipe or an image of the race changed while it ran, and its rungs cannot be mixed; the same command"
            " starts a race of the files as they are now"
        )
