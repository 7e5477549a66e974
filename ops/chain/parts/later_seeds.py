"""More seeds of every arm, for a second look at the test images: trained by the rules of the first ones.

Each arm keeps the setting that the grid chose for it at the first seed. The networks lie in the verdict's own folder,
as files like those of the first seeds; a run that was killed is resumed training by training. Test images are not
opened here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ops.chain.parts.classifiers import BASELINES, EXPANDED, keep_networks, open_contest
from ops.classifiers.tournament import Result, train_seeds
from ops.files.outputs import RESULTS
from ops.files.storage import write_json
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
        contest = open_contest(run, side, {arm: recipe_arms[side][arm] for arm in chosen}, found["metric"])
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
