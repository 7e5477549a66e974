"""Finished recipes for tests of comparisons: outputs as a run would leave them, with answers whose truth is known.

`leave_outputs` writes every stage's folder with a manifest that follows from the recipe, so that Growset takes them for
current; nothing is trained.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from ops.chain.contents import FIRST, read_contents
from ops.datasets.pixels import read_rows, write_shards
from ops.datasets.shards import find_shards
from ops.files.manifests import MANIFEST, describe_output
from ops.files.outputs import RESULTS, RUNS, VERDICT
from ops.files.storage import write_json
from ops.recipe.stages import STAGES
from ops.stages.materialization import identify
from ops.study.comparing.pooling import Entrant
from ops.verdict.decision import decide
from ops.verdict.estimate import BoolArray
from ops.verdict.records import Budget
from ops.workspaces.workspace import Workspace
from tests.workspaces import NAMES, RECIPE, digit_splits, make_folder

SEEDS, TEST = 5, 232
Arms = Mapping[str, BoolArray]


def answer(accuracy: float, seed: int, images: int = 1000) -> BoolArray:
    """Answers of five seeds, each right with this probability."""
    return np.random.default_rng(seed).random((SEEDS, images)) < accuracy


def enter(recipe: str, baselines: Arms, expanded: Arms, validation: Mapping[str, float] | None = None) -> Entrant:
    """A recipe's arms; on validation each has its accuracy on the test images, unless `validation` says another."""
    correct = {**baselines, **expanded}
    scores = {arm: float(answers.mean()) for arm, answers in correct.items()} | dict(validation or {})
    return Entrant(
        recipe, correct, {arm: "baseline" if arm in baselines else "expanded" for arm in correct},
        {arm: scores[arm] for arm in correct},
    )  # fmt: skip


def make_compared(root: Path, *recipes: str) -> Workspace:
    """A folder of recipes on the digits; neither git nor DVC is needed to compare them."""
    return Workspace(make_folder(root, recipes, RECIPE.replace("seeds: 2", f"seeds: {SEEDS}")))


def leave_outputs(workspace: Workspace, name: str, entrant: Entrant, seconds: Mapping[str, float]) -> None:
    """The outputs of all stages, as if the recipe had been run with these answers in so many seconds."""
    recipe = workspace.load_recipe(name)
    contents = read_contents(workspace, recipe)
    for stage in STAGES:
        folder = workspace.output(name, stage)
        folder.mkdir(parents=True)
        metrics = _write_files(workspace, name, stage, entrant)
        identity = identify(workspace, recipe, name, stage, contents.get(stage))
        write_json(folder / MANIFEST, describe_output(folder, identity, metrics))
    workspace.timings(name).parent.mkdir(parents=True, exist_ok=True)
    write_json(workspace.timings(name), dict(seconds))


def _write_files(workspace: Workspace, name: str, stage: str, entrant: Entrant) -> dict[str, Any]:
    """A stage's files, of which those that no comparison reads hold its name; returns the metrics."""
    folder, real = workspace.output(name, stage), workspace.output(name, FIRST)
    if stage == FIRST:
        splits = digit_splits()
        for split, data in splits.items():
            write_shards(folder, data, prefix=split)
        counts = {split: len(data.labels) for split, data in splits.items()}
        return {**counts, "classes": len(NAMES), "class_names": list(NAMES), "shape": [16, 16, 1]}
    if stage in ("baseline_classifiers", "expanded_classifiers"):
        arms = entrant.list_arms("baseline" if stage.startswith("baseline") else "expanded")
        rates = {arm: {"validation_per_class": [entrant.validation[arm]] * len(NAMES)} for arm in arms}
        write_json(folder / RESULTS, {"arms": rates})
    elif stage == "verdict":
        test = read_rows(find_shards(real, "test"))
        write_json(folder / VERDICT, _decide(entrant, test["label"].to_numpy()))
        rows = [
            pl.DataFrame({"image_id": test["image_id"], "correct": right}).select(
                pl.lit(arm).alias("arm"), pl.lit(seed).alias("seed"), "image_id", "correct"
            )
            for arm, answers in entrant.correct.items()
            for seed, right in enumerate(answers)
        ]
        pl.concat(rows).write_parquet(folder / RUNS)
    else:
        write_json(folder / "files.json", {"stage": stage})
    return {"generated": 32} if stage == "mixed_dataset" else {}


def _decide(entrant: Entrant, labels: np.ndarray) -> dict[str, Any]:
    verdict = decide(
        entrant.correct, entrant.kinds, entrant.validation, labels, NAMES, metric="accuracy", budget=Budget(20, 16),
        validation_images=64,
    )  # fmt: skip
    return verdict.to_dict()
