"""The benefit of filtering for a classifier: trained on all generated images, on a random choice, and on the accepted.

The demo's recipe runs up to its accepted images. Each choice then gets the same classifier, steps, paired seeds and
weight of a real image; real images alone are measured too. The random choice takes as many images of each class, from
all generated ones, as were accepted, so that only the selection differs. Settings of the grid are chosen at the first
seed, as in the chain. Scores are those on validation images, which also chose the generator's best checkpoint, for all
choices alike; test images are not touched.
"""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file

from benchmarks.parts.harness import Row, write_result
from ops.chain.driver import Chain
from ops.classifiers.answering import predict
from ops.classifiers.examples import Examples
from ops.classifiers.networks.classifier import build_classifier
from ops.classifiers.runs import Contest
from ops.classifiers.tournament import count_runs, hold_tournament
from ops.datasets.axes import to_nchw
from ops.datasets.index import read_index
from ops.datasets.pixels import PixelDataset, read_shards, read_split
from ops.datasets.shards import find_shards
from ops.files.outputs import GENERATED
from ops.machine.progress import Progress
from ops.recipe.arms import Arm, FlipCrop
from ops.recipe.design import Metric
from ops.recipe.schema import Recipe
from ops.recipe.stages import upstream
from ops.stages.materialization import Runtime
from ops.verdict.comparison import Comparison
from ops.verdict.estimate import Interval
from ops.workspaces.workspace import Workspace

EXPANSION = "fashion-flow"
LAST = "accepted_images"
ARM = Arm(augmentation=FlipCrop())
REFERENCE = "random"  # the others are compared with this choice
METRIC: Metric = "accuracy"


def run(expansion: str = EXPANSION) -> Path:
    """Run the chain in a clone, train and judge, write results/selection.json."""
    root = Path(__file__).parents[1]
    with tempfile.TemporaryDirectory() as name:
        clone = Path(name) / "growset"
        subprocess.run(["git", "clone", "--quiet", str(root), str(clone)], check=True)
        workspace = Workspace(clone)
        recipe = workspace.load_recipe(expansion)
        chain = Chain(workspace, Runtime(sink=print))
        for stage in [*upstream(LAST), LAST]:
            chain.run(expansion, stage)
        return compare(workspace, expansion, recipe, Path(name))


def compare(workspace: Workspace, expansion: str, recipe: Recipe, scratch: Path) -> Path:
    """Train on each choice and write the result."""
    real, generated, accepted = (workspace.output(expansion, s) for s in ("real_images", "generated_images", LAST))
    train, validation = read_split(real, "train"), read_split(real, "validation")
    drawn = read_shards(find_shards(generated, GENERATED))
    index = read_index(accepted)
    keep = index["keep"].to_numpy()
    choices = {
        "real": np.empty(0, np.int64),
        "all": np.arange(len(keep)),
        REFERENCE: draw_alike(index["label"].to_numpy(), keep, seed=recipe.seed),
        "accepted": np.flatnonzero(keep),
    }
    correct = {name: train_on(name, train, drawn, rows, validation, recipe, scratch) for name, rows in choices.items()}
    comparison, confidence = Comparison(correct, validation.labels), recipe.verdict.confidence
    rows, tail = [], (1.0 - confidence) / 2.0
    for name, chosen in choices.items():
        found = comparison.score(name, METRIC, tail=tail)
        rows += [Row(f"{name}: generated images", len(chosen), "images"), *describe(name, found)]
        if name != REFERENCE:
            rows += describe(f"{name} - {REFERENCE}", comparison.differ(name, REFERENCE, METRIC, tail=tail))
    return write_result(
        "selection",
        rows,
        {},
        judged_on=f"{len(validation)} validation images",
        seeds=recipe.classifier.seeds,
        steps=recipe.classifier.steps,
        real_weight=recipe.mix.real_weight,
        confidence=confidence,
    )


def draw_alike(labels: np.ndarray, keep: np.ndarray, *, seed: int) -> np.ndarray:
    """Rows of a random choice with as many images of each class as `keep` bool [n] marks, in order."""
    rng = np.random.default_rng(seed)
    rows = [
        rng.choice(np.flatnonzero(labels == label), int(keep[labels == label].sum()), replace=False)
        for label in np.unique(labels)
    ]
    return np.sort(np.concatenate(rows))


def train_on(
    name: str,
    train: PixelDataset,
    drawn: PixelDataset,
    rows: np.ndarray,
    validation: PixelDataset,
    recipe: Recipe,
    scratch: Path,
) -> np.ndarray:
    """Whether the classifier of each seed is right on each validation image, bool [seeds, n]."""
    chosen = drawn.select(rows)
    images = to_nchw(np.concatenate([train.images, chosen.images]))
    labels = np.concatenate([train.labels, chosen.labels])
    weights = np.repeat([recipe.mix.real_weight, 1.0], [len(train), len(chosen)])
    is_generated = np.repeat([False, True], [len(train), len(chosen)])
    settings, held_out = recipe.classifier, to_nchw(validation.images)
    contest = Contest(
        {name: ARM},
        (Examples(images, labels, weights, is_generated),),
        first_seed=recipe.seed * 1000,
        validation=(held_out, validation.labels),
        settings=settings,
        metric=METRIC,
        classes=len(train.class_names),
        scratch=scratch / "runs",
    )
    progress = Progress(print, name, count_runs(contest), "trainings")
    tournament = hold_tournament(contest, workers=Runtime().workers, progress=progress)
    answers = []
    for result in tournament.final[name]:
        model = build_classifier(result.description)
        model.load_state_dict(load_file(result.path))
        predicted = predict(model.eval(), torch.from_numpy(held_out), precision=settings.precision).argmax(1).numpy()
        answers.append(predicted == validation.labels)
    return np.stack(answers)


def describe(name: str, found: Interval) -> list[Row]:
    """A share with its interval, in per cent."""
    return [
        Row(f"{name}: accuracy", round(100 * found.estimate, 2), "%"),
        Row(f"{name}: accuracy, low", round(100 * found.low, 2), "%"),
        Row(f"{name}: accuracy, high", round(100 * found.high, 2), "%"),
    ]
