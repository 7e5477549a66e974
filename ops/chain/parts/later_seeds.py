"""Train more seeds of every arm for a second look at the test images, by the rules of the first seeds.

Each arm keeps the setting that the grid chose for it at the first seed. The networks are stored in the verdict's own
folder, in files like those of the first seeds. A killed run resumes after its last finished training. Test images are
not opened here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ops.chain.parts.classifiers import BASELINES, EXPANDED, find_teachers, keep_networks, open_contest
from ops.chain.parts.examples import read_baselines, read_mixed_sets
from ops.classifiers.runs import Result
from ops.classifiers.tournament import train_seeds
from ops.files.outputs import RESULTS
from ops.files.storage import write_json
from ops.recipe.automatic import read_settled
from ops.recipe.grid import Setting
from ops.stages.materialization import StageRun

FOLDER = "later_seeds"


def train_later_seeds(run: StageRun, results: Mapping[str, Mapping[str, Any]]) -> dict[str, list[int]]:
    """Train as many more seeds of each arm as `results` (of each side, its results.json) have; seeds by arm."""
    folder = run.out / FOLDER
    settings = run.recipe.classifier
    recipe_arms = {BASELINES: run.recipe.baselines, EXPANDED: run.recipe.expanded}
    first = run.recipe.seed * 1000 + settings.seeds
    seeds = range(first, first + settings.seeds)
    total = settings.seeds * sum(len(side["arms"]) for side in results.values())
    progress = run.runtime.progress("second look", total, "trainings")
    trained: dict[str, list[Result]] = {}
    for side, found in results.items():
        chosen = {arm: Setting(tuple(entry["setting"].items())) for arm, entry in found["arms"].items()}
        settled = read_settled(recipe_arms[side], found)
        arms = {arm: settled[arm] for arm in chosen}
        training = (
            [read_baselines(run.workspace, run.inputs, arms)]
            if side == BASELINES
            else list(read_mixed_sets(run.inputs, arms, run.recipe.seed))
        )
        teachers = find_teachers(arms, run.inputs[BASELINES], results[BASELINES]["aliases"])
        contest = open_contest(run, arms, training, found["metric"], teachers)
        trained |= train_seeds(
            contest,
            chosen,
            seeds,
            workers=run.runtime.workers,
            progress=progress,
            before=len(trained) * settings.seeds,
        )
    for arm, entries in trained.items():
        keep_networks(folder, arm, entries)
    write_json(
        folder / RESULTS,
        {arm: {"per_seed": {str(r.run.seed): r.validation for r in entries}} for arm, entries in trained.items()},
    )
    return {arm: [result.run.seed for result in entries] for arm, entries in trained.items()}
