"""The reference model in the chain: fitted on what the baselines learn from, evaluated when the networks are.

It lies beside the baselines in a folder of its own, so that no arm's file can have its name.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ops.chain.parts.external_networks import open_reference_network
from ops.classifiers.reference.fitting import fit_reference
from ops.classifiers.reference.model import Describe, load_reference, save_reference
from ops.datasets.pixels import PixelDataset, read_split
from ops.datasets.units import read_units
from ops.files.storage import replace_file
from ops.recipe.design import Metric
from ops.stages.materialization import StageRun
from ops.verdict.reference import ReferenceAnswers

WEIGHTS = "reference/model.safetensors"
ANSWERS = "reference.npy"  # beside the files of the networks' answers, whose names end in a seed
LOGGED = "reference model"  # among the arms of the evaluation log; no arm's name has a space


def train_reference(run: StageRun, metric: Metric) -> dict[str, Any]:
    """Fit the reference model and store its weights; returns its entry in results.json."""
    run.runtime.sink(f"{run.stage}: fitting the reference model")
    train, validation = (read_split(run.inputs["real_images"], split) for split in ("train", "validation"))
    others = open_reference_network(run.recipe.verdict.reference, run.workspace.root)
    for name in others:
        run.runtime.sink(f"{run.stage}: computing the {name} of {len(train) + len(validation):,} images")
    fit = fit_reference(
        (train.images, train.labels),
        (validation.images, validation.labels),
        classes=len(train.class_names),
        metric=metric,
        seed=run.recipe.seed,
        units=read_units(run.inputs["real_images"], train, validation),
        others=others,
    )
    save_reference(run.out / WEIGHTS, fit.model)
    found = {
        "name": f"logistic regression on {fit.choice.features}",
        "features": fit.choice.features,
        "C": fit.choice.strength / len(fit.model.mean),
        "chosen_by": fit.choice.judge,
        "scores": dict(fit.choice.scores),
        "images": fit.images,
        "validation": fit.validation,
    }
    if others:
        tried = ", ".join(f"{score:.1%} with {name}" for name, score in fit.choice.scores.items())
        run.runtime.sink(f"{run.stage}: reference models by {fit.choice.judge}: {tried}")
    run.runtime.sink(f"{run.stage}: {found['name']} reaches {fit.validation:.1%} on validation, a bar for every arm")
    return found


def is_evaluated(scratch: Path) -> bool:
    """Whether the reference model's answers are in the scratch folder."""
    return (scratch / ANSWERS).exists()


def evaluate_reference(folder: Path, test: PixelDataset, scratch: Path, others: Mapping[str, Describe]) -> None:
    """Write whether the model beside the baselines in `folder` is right on each test image into the scratch folder.

    `others` as in `Reference.answer`.
    """
    correct = load_reference(folder / WEIGHTS).answer(test.images, others) == test.labels
    with replace_file(scratch / ANSWERS) as temporary, temporary.open("wb") as file:
        np.save(file, correct, allow_pickle=False)


def read_reference(entry: Mapping[str, Any], scratch: Path) -> ReferenceAnswers:
    """What `evaluate_reference` wrote, with the name and validation score of its `entry` in results.json."""
    correct = np.load(scratch / ANSWERS, allow_pickle=False)
    return ReferenceAnswers(entry["name"], correct, entry["validation"])
