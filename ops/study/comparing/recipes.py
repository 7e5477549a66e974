"""What is known of the recipes that are to be compared: what each has left behind, or that it has not been run.

A recipe counts as run if every stage up to its verdict is current; otherwise the figures would be those of other
settings than the recipe's. Answers on the test images are those that the verdicts have stored: nothing is evaluated
here, and test pixels are not read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl

from ops.chain.contents import FIRST, read_contents
from ops.chain.parts.classifiers import BASELINES, EXPANDED
from ops.chain.parts.fold_verdict import FoldAnswers
from ops.chain.parts.trained import list_rates
from ops.datasets.pixels import read_rows
from ops.datasets.shards import find_shards
from ops.datasets.units import find_units
from ops.errors import DamagedData
from ops.files.manifests import MANIFEST, read_manifest
from ops.files.outputs import RESULTS, RUNS, VERDICT, WORTH
from ops.files.storage import read_json
from ops.recipe.fingerprints import is_idle, stage_settings
from ops.recipe.schema import Recipe
from ops.recipe.stages import STAGES, upstream
from ops.stages.materialization import find_staleness
from ops.stages.several import assign_generators
from ops.study.comparing.pooling import Entrant
from ops.workspaces.workspace import Workspace

LAST = "verdict"


@dataclass(frozen=True)
class Candidate:
    """One recipe of a comparison.

    source, data: the images that it reads: the source's name and the section `data`. folds: of its verdict.
    pending: why it cannot be compared yet; None if it has been run as it is. content: hash of its images, known where
    it has been run. commands: what runs it.
    """

    recipe: str
    source: str
    data: Mapping[str, Any]
    folds: int | None
    content: str | None
    pending: str | None
    commands: Sequence[str]


@dataclass(frozen=True, eq=False)
class Images:
    """The test images that a finished recipe answered: ids, labels, and folds and units where it has some, int [n].

    validation: how many images arms were picked on. train_counts: training images of each class of class_names.
    """

    ids: pl.Series
    labels: np.ndarray
    folds: np.ndarray | None
    units: np.ndarray | None
    class_names: Sequence[str]
    validation: int
    train_counts: Sequence[int]


@dataclass(frozen=True, eq=False)
class Finished:
    """What a recipe that was run left behind: its verdict, its arms' answers, and what it cost.

    seconds: by stage, of the last time that the stage was computed in this workspace; a stage that was pulled, or
    copied from another recipe, has none. bytes: of all its stages' outputs. worth: its gain over its own baseline in
    real labels per class, with its own interval, in words; None where no current report tells it.
    """

    candidate: Candidate
    verdict: Mapping[str, Any]
    entrant: Entrant
    images: Images
    kind: str
    generated: int
    real_weight: float
    bytes: int
    seconds: Mapping[str, float] = field(default_factory=dict)
    worth: str | None = None

    @property
    def recipe(self) -> str:
        return self.candidate.recipe


def describe_candidate(workspace: Workspace, name: str) -> Candidate:
    """Whether the recipe has been run as it is. UserError for a name or a recipe that is wrong, DamagedData with the
    file for an output that is damaged."""
    recipe = workspace.load_recipe(name, active=False)
    pending = _find_pending(workspace, name, recipe)
    content = read_manifest(workspace.output(name, FIRST))["content"] if pending is None else None
    data = stage_settings(recipe, FIRST)["data"]
    commands = [f"growset run {name}"]
    if name not in workspace.expansions:
        commands.insert(0, f"growset activate {name}")
    return Candidate(name, recipe.source, data, recipe.verdict.folds, content, pending, commands)


def _find_pending(workspace: Workspace, name: str, recipe: Recipe) -> str | None:
    """Why the verdict does not follow from the recipe as it is; None if it does."""
    if not workspace.output(name, LAST).exists():
        return "has not been run"
    contents = read_contents(workspace, recipe)
    for stage in (*upstream(LAST), LAST):
        found = find_staleness(workspace, name, stage, recipe, contents.get(stage))
        if found and found.damaged:
            raise DamagedData(f"'{name}': {stage} {found.why}; make it anew with: growset run {name}")
        if found:
            return f"has changed since it was run: {stage} {found.why}"
    return None


def read_finished(workspace: Workspace, candidate: Candidate) -> Finished:
    """What a recipe that has been run left behind."""
    name = candidate.recipe
    recipe = workspace.load_recipe(name, active=False)
    verdict = read_json(workspace.output(name, LAST) / VERDICT)
    folded = not is_idle(recipe, "folds")
    entrant, images = (_read_folds if folded else _read_split)(workspace, name, verdict)
    mixed = read_manifest(workspace.output(name, "mixed_dataset"))["metrics"]
    kept = [stage for stage in STAGES if (workspace.output(name, stage) / MANIFEST).exists()]
    sizes = (read_manifest(workspace.output(name, stage))["files"] for stage in kept)
    timings = workspace.timings(name)
    recorded = read_json(timings) if timings.exists() else {}
    return Finished(
        candidate,
        verdict,
        entrant,
        images,
        recipe.generator.kind,
        int(mixed["generated"]),
        float(recipe.mix.real_weight),
        sum(int(entry["bytes"]) for files in sizes for entry in files.values()),
        {stage: float(recorded[stage]) for stage in STAGES if stage in recorded},
        _read_worth(workspace, recipe, name, verdict),
    )


def _read_worth(workspace: Workspace, recipe: Recipe, name: str, verdict: Mapping[str, Any]) -> str | None:
    """What the decisive difference is worth in labels, if the recipe asks and its report is current."""
    if recipe.report.worth is None or find_staleness(workspace, name, "report", recipe, files=False):
        return None
    rows = read_json(workspace.output(name, "report") / WORTH)["rows"]
    return str(rows[0]["told"]) if rows and verdict["challenger"] is not None else None


def _list_trained(verdict: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The rows of arms that were trained, and not only named."""
    return [row for row in verdict["arms"] if row["same_as"] is None]


def _build_entrant(
    name: str,
    verdict: Mapping[str, Any],
    correct: Mapping[str, np.ndarray],
    rates: Mapping[str, Sequence[float]],
    generators: Sequence[int] | None,
) -> Entrant:
    rows, reference = _list_trained(verdict), verdict["reference"]
    return Entrant(
        name,
        {row["arm"]: correct[row["arm"]] for row in rows},
        {row["arm"]: row["kind"] for row in rows},
        {row["arm"]: row["validation"] for row in rows},
        rates,
        generators,
        reference is None or reference["shortfall"] is None,
        verdict["look"],
        verdict["looks"],
    )


def _read_split(workspace: Workspace, name: str, verdict: Mapping[str, Any]) -> tuple[Entrant, Images]:
    """Of a verdict on one test split."""
    real = workspace.output(name, FIRST)
    metrics, test = read_manifest(real)["metrics"], read_rows(find_shards(real, "test"))
    train = np.bincount(read_rows(find_shards(real, "train"))["label"].to_numpy(), minlength=metrics["classes"])
    images = Images(
        test["image_id"],
        test["label"].to_numpy(),
        None,
        find_units(real, test),
        metrics["class_names"],
        metrics["validation"],
        train.tolist(),
    )
    runs = pl.read_parquet(workspace.output(name, LAST) / RUNS)
    correct = {}
    for row in _list_trained(verdict):
        own = runs.filter(pl.col("arm") == row["arm"]).partition_by("seed", maintain_order=True)
        correct[row["arm"]] = np.stack([part["correct"].to_numpy() for part in own])
    sides = [read_json(workspace.output(name, side) / RESULTS) for side in (BASELINES, EXPANDED)]
    rates = list_rates({arm: entry for side in sides for arm, entry in side["arms"].items()})
    generators, challenger = int(verdict["generators"]), verdict["challenger"]
    used = assign_generators(len(correct[challenger]), generators) if challenger and generators > 1 else None
    return _build_entrant(name, verdict, correct, rates, used), images


def _read_folds(workspace: Workspace, name: str, verdict: Mapping[str, Any]) -> tuple[Entrant, Images]:
    """Of a verdict over folds of all images."""
    answers = FoldAnswers(workspace.output(name, "folds"))
    names = read_manifest(workspace.output(name, FIRST))["metrics"]["class_names"]
    images = Images(
        answers.images["image_id"],
        answers.labels,
        answers.members,
        answers.find_units(workspace.output(name, FIRST)),
        names,
        sum(fold["images"]["validation"] for fold in answers.folds),
        np.bincount(answers.labels, minlength=len(names)).tolist(),
    )
    correct = {arm: answers.read(arm) for arm in answers.kinds}
    rates = {arm: answers.average_classes(arm) for arm in answers.kinds}
    return _build_entrant(name, verdict, correct, rates, answers.generators), images
