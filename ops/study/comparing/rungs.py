"""One rung of a race: train recipes for the steps that they have in it, and score them on validation images.

The stages are those of a run up to the classifiers, by the same code, with outputs in an area of the race's own; stages
with equal fingerprints and equal trainings are made once for all recipes. The verdict is not among them: no network is
asked about a test image.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from ops.chain import find_builder
from ops.chain.contents import read_content
from ops.chain.parts.answers import Network, evaluate, read_answers
from ops.chain.parts.classifiers import BASELINES, EXPANDED, weights_file
from ops.chain.parts.fold_chain import FIRST, WITHOUT_GENERATOR, find_refusal
from ops.chain.parts.trained import join_sides
from ops.datasets.axes import to_nchw
from ops.datasets.pixels import read_split
from ops.datasets.units import find_units
from ops.errors import UserError
from ops.files.hashing import hash_json
from ops.files.manifests import read_manifest
from ops.files.outputs import RESULTS
from ops.files.storage import read_json
from ops.machine.interruption import at, check
from ops.recipe.design import Metric
from ops.recipe.stages import STAGES, upstream
from ops.stages.materialization import Runtime, materialize
from ops.stages.several import assign_generators
from ops.study.comparing.pooling import Entrant, Pool, pool_arms
from ops.study.comparing.same_images import RULE
from ops.verdict.estimate import Interval
from ops.verdict.picks import pick_best
from ops.verdict.units import keep_several
from ops.workspaces.races import RaceWorkspace

TRAINED = [stage for stage in STAGES if stage in {*upstream(EXPANDED), EXPANDED}]
TAIL = 0.025


@dataclass(frozen=True)
class Row:
    """A recipe in a rung. score: of its best arm with generated images on validation, in the race's metric; None where
    no arm learnt from generated images, and then `refusal` says why. over_best: that arm minus the best arm without
    generated images of all recipes in the rung, placebos among them, on the validation images that picked both."""

    recipe: str
    challenger: str | None
    score: float | None
    over_best: Interval | None
    refusal: str | None

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Rung:
    """What a rung showed: its rows, and the best arm without generated images, a placebo or not, with its score."""

    rows: Sequence[Row]
    best: str
    best_score: float
    metric: Metric

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "rows": [row.to_dict() for row in self.rows]}


def run_rung(workspace: RaceWorkspace, recipes: Sequence[str], runtime: Runtime) -> Rung:
    """Train the recipes and score them; stages that are current are skipped. UserError for recipes of different images,
    DamagedData and EnvironmentFault as `materialize`."""
    refusals = {name: train_recipe(workspace, name, runtime) for name in recipes}
    require_equal_images(workspace, recipes)
    entrants = [read_entrant(workspace, name, refusals[name], runtime) for name in recipes]
    first = workspace.output(recipes[0], FIRST)
    metric: Metric = read_json(workspace.output(recipes[0], BASELINES) / RESULTS)["metric"]
    held = read_split(first, "validation")
    units = keep_several(find_units(first, held.rows))
    pool = pool_arms(entrants, held.labels, by_class=metric == "worst_class", units=units)
    without = {
        pool.names[each.recipe, arm]: each.validation[arm]
        for each in entrants
        for arm in each.list_arms("baseline", "placebo")
    }
    best = pick_best(without)
    rows = [_score(pool, entrant, best, metric, refusals[entrant.recipe]) for entrant in entrants]
    return Rung(rows, best, without[best], metric)


def require_equal_images(workspace: RaceWorkspace, recipes: Sequence[str]) -> None:
    """UserError unless the stored images of all recipes are equal, byte by byte."""
    contents = {name: read_manifest(workspace.output(name, FIRST))["content"] for name in recipes}
    for name, content in contents.items():
        if content != contents[recipes[0]]:
            raise UserError(
                f"'{name}' has other images than '{recipes[0]}' (its seed draws others, or other labels); {RULE}"
            )


def train_recipe(workspace: RaceWorkspace, name: str, runtime: Runtime) -> str | None:
    """Run the stages of a recipe that are not current; returns why nothing generated was used, or None."""
    sink, refusal = runtime.sink, None
    runtime = replace(runtime, sink=lambda line: sink(f"{name}: {line}"))
    for stage in TRAINED:
        if refusal is not None and stage not in (*WITHOUT_GENERATOR, "prior"):
            continue
        check()
        with at(f"in the race, stage {stage} of '{name}'"):
            recipe = workspace.load_recipe(name)
            source = read_content(workspace, recipe, stage)
            materialize(workspace, name, stage, find_builder(stage), runtime, source=source)
        if refusal is None and (refusal := find_refusal(workspace, name, stage)):
            runtime.sink(f"nothing generated is used: {refusal}")
    return refusal


def read_entrant(workspace: RaceWorkspace, name: str, refusal: str | None, runtime: Runtime) -> Entrant:
    """The recipe's arms with their answers about the validation images."""
    sides = [BASELINES] if refusal else [BASELINES, EXPANDED]
    results = {side: read_json(workspace.output(name, side) / RESULTS) for side in sides}
    networks = [
        Network(arm, int(seed), workspace.output(name, side) / weights_file(arm), found["precision"])
        for side, found in results.items()
        for arm, entry in found["arms"].items()
        for seed in entry["per_seed"]
    ]
    contents = [read_manifest(workspace.output(name, side))["content"] for side in sides]
    scratch = workspace.staging(hash_json(["validation answers", *contents]))
    held = read_split(workspace.output(name, FIRST), "validation")
    progress = runtime.progress(f"{name}: validation images", len(networks), "networks")
    images = to_nchw(held.images)
    evaluate(networks, images, held.labels, scratch=scratch, workers=runtime.workers, progress=progress)
    answers: dict[str, list[np.ndarray]] = {}
    for network in networks:
        answers.setdefault(network.arm, []).append(read_answers(network, scratch).correct)
    shutil.rmtree(scratch)
    trained = join_sides(workspace.load_recipe(name), results)
    kinds = trained.kinds
    used = results[EXPANDED]["generators"] if EXPANDED in results else 1
    seeds = min((len(answers[arm]) for arm, kind in kinds.items() if kind == "expanded"), default=0)
    return Entrant(
        name,
        {arm: np.stack(answers[arm]) for arm in kinds},
        kinds,
        {arm: entry["validation"] for arm, entry in trained.entries.items()},
        trained.rates,
        assign_generators(seeds, used) if used > 1 and seeds else None,
    )


def _score(pool: Pool, entrant: Entrant, best: str, metric: Metric, refusal: str | None) -> Row:
    if refusal is not None:
        return Row(entrant.recipe, None, None, None, refusal)
    arm = entrant.pick("expanded")
    assert arm is not None and pool.setup is not None, "without a refusal some arm learnt from generated images"
    gap = pool.setup.comparison.differ(pool.challengers[entrant.recipe], best, metric, tail=TAIL)
    return Row(entrant.recipe, arm, entrant.validation[arm], gap, None)
