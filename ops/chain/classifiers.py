"""Stages `baseline_classifiers` and `expanded_classifiers`: the arms without and with generated images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from safetensors.torch import load_file, save_file

from ops.chain.mixed import read_mixed
from ops.classifiers.tournament import Result, count_runs, find_aliases, hold_tournament
from ops.datasets.index import read_index
from ops.datasets.pixels import PixelDataset, read_split
from ops.recipe.schema import Arm
from ops.stage import StageRun
from ops.storage import replace_file, write_json

RESULTS = "results.json"


def build_baseline_classifiers(run: StageRun) -> dict[str, Any]:
    """Arms on the real training images alone."""
    train = read_split(run.inputs["real_images"], "train")
    return _train_arms(run, run.recipe.baselines, train, np.ones(len(train)))


def build_expanded_classifiers(run: StageRun) -> dict[str, Any]:
    """Arms on the mixed dataset, sampled by its weights."""
    index = read_index(run.inputs["mixed_dataset"])
    mixed = read_mixed(index, run.inputs["real_images"], run.inputs["generated_images"])
    return _train_arms(run, run.recipe.expanded, mixed, index["weight"].to_numpy())


def weights_file(arm: str) -> str:
    """Name of the file with an arm's final weights, keyed `<seed>/<parameter>`."""
    return f"{arm}.safetensors"


def _train_arms(run: StageRun, arms: Mapping[str, Arm], data: PixelDataset, weights: np.ndarray) -> dict[str, Any]:
    settings = run.recipe.classifier
    validation = read_split(run.inputs["real_images"], "validation")
    # By name, `real` first: the order of a mapping is not part of its fingerprint.
    arms = dict(sorted(arms.items(), key=lambda item: (item[0] != "real", item[0])))
    aliases = find_aliases(arms, data.labels, weights)
    trained = {name: arm for name, arm in arms.items() if name not in aliases}
    first_seed = run.recipe.seed * 1000
    results = hold_tournament(
        trained,
        to_nchw(data.images),
        data.labels.copy(),
        weights,
        (to_nchw(validation.images), validation.labels),
        settings,
        classes=len(data.class_names),
        first_seed=first_seed,
        scratch=run.scratch / "runs",
        workers=run.runtime.workers,
        progress=run.runtime.progress(run.stage, count_runs(len(trained), settings), "trainings"),
    )
    summary = {name: _keep(run, name, entries, settings.seeds) for name, entries in results.items()}
    write_json(
        run.out / RESULTS,
        {"arms": summary, "aliases": aliases, "steps": settings.steps, "batch_size": settings.batch_size},
    )
    return {
        "trainings": count_runs(len(trained), settings),
        **{f"validation_{name}": round(entry["validation_accuracy"], 6) for name, entry in summary.items()},
    }


def to_nchw(images: np.ndarray) -> np.ndarray:
    """uint8 [n, H, W, C] to a contiguous [n, C, H, W]."""
    return np.ascontiguousarray(images.transpose(0, 3, 1, 2))


def _keep(run: StageRun, name: str, results: list[Result], seeds: int) -> dict[str, Any]:
    """Store the final weights of the chosen setting; return what the verdict and the report need."""
    chosen = results[0].run
    final = [
        result
        for result in results
        if (result.run.learning_rate, result.run.weight_decay) == (chosen.learning_rate, chosen.weight_decay)
    ]
    assert len(final) == seeds, f"{name}: {len(final)} runs for {seeds} seeds"
    tensors = {f"{result.run.seed}/{key}": value for result in final for key, value in load_file(result.path).items()}
    with replace_file(run.out / weights_file(name)) as temporary:
        save_file(tensors, temporary)
    per_seed = {str(result.run.seed): result.validation_accuracy for result in final}
    return {
        "learning_rate": chosen.learning_rate,
        "weight_decay": chosen.weight_decay,
        "validation_accuracy": float(np.mean(list(per_seed.values()))),
        "per_seed": per_seed,
        "tried": [
            {
                "learning_rate": r.run.learning_rate,
                "weight_decay": r.run.weight_decay,
                "validation_accuracy": r.validation_accuracy,
            }
            for r in results
            if r.run.seed == chosen.seed
        ],
        "losses": list(final[0].losses),
    }
