"""The arms of one side, without or with generated images: their training images, training and stored results."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.torch import load_file

from ops.classifiers.stored import save_classifiers
from ops.classifiers.tournament import (
    Contest,
    Examples,
    Result,
    Tournament,
    count_runs,
    find_common_aliases,
    hold_tournament,
)
from ops.datasets.axes import to_nchw
from ops.datasets.index import read_index
from ops.datasets.mixed import read_mixed
from ops.datasets.pixels import PixelDataset, read_rows, read_split
from ops.datasets.shards import find_shards
from ops.files.manifests import read_manifest
from ops.files.outputs import RESULTS
from ops.files.storage import write_json
from ops.machine.precision import resolve_precision
from ops.recipe.arms import Arm
from ops.recipe.design import Metric
from ops.stages.materialization import StageRun
from ops.stages.several import count_generators, place_inputs
from ops.verdict.metric import choose_metric

BASELINES, EXPANDED = "baseline_classifiers", "expanded_classifiers"


def weights_file(arm: str) -> str:
    """Name of the file with an arm's final networks, one for each seed."""
    return f"{arm}.safetensors"


def open_contest(run: StageRun, side: str, arms: Mapping[str, Arm], metric: Metric) -> Contest:
    """Training images, validation images and metric of a side's arms; finished runs go to the scratch folder."""
    validation = read_split(run.inputs["real_images"], "validation")
    return Contest(
        arms=dict(arms),
        training=tuple(_read_training(run, side)),
        first_seed=run.recipe.seed * 1000,
        validation=(to_nchw(validation.images), validation.labels),
        settings=run.recipe.classifier,
        metric=metric,
        classes=len(validation.class_names),
        scratch=run.scratch / name_scratch("runs", run.runtime.device),
        device=run.runtime.device,
    )


def name_scratch(work: str, device: str) -> str:
    """The folder of finished work, apart for each device: another one gives other weights, so nothing is mixed."""
    return work if device == "cpu" else f"{work}-{device.replace(':', '-')}"


def keep_networks(folder: Path, arm: str, results: Sequence[Result]) -> None:
    """Store the networks of an arm's runs, one per seed, in one file."""
    states = {result.run.seed: load_file(result.path) for result in results}
    save_classifiers(folder / weights_file(arm), states, results[0].description)


def _read_training(run: StageRun, side: str) -> Iterator[Examples]:
    """The real training images, or the mixed dataset of each generator."""
    if side == BASELINES:
        train = read_split(run.inputs["real_images"], "train")
        yield _to_examples(train, np.ones(len(train)))
        return
    for generator in range(count_generators(run.inputs["mixed_dataset"])):
        inputs = place_inputs(run.inputs, generator)
        index = read_index(inputs["mixed_dataset"])
        mixed = read_mixed(index, inputs["real_images"], inputs["generated_images"])
        yield _to_examples(mixed, index["weight"].to_numpy(), index["is_generated"].to_numpy())


def _to_examples(data: PixelDataset, weights: np.ndarray, is_generated: np.ndarray | None = None) -> Examples:
    return Examples(to_nchw(data.images), data.labels.copy(), weights, is_generated)


def find_metric(run: StageRun) -> Metric:
    """The recipe's metric, or the one that suits the class sizes of the real training images."""
    real = run.inputs["real_images"]
    labels = read_rows(find_shards(real, "train"))["label"].to_numpy()
    classes = read_manifest(real)["metrics"]["classes"]
    return run.recipe.verdict.metric or choose_metric(np.bincount(labels, minlength=classes))


def train_arms(run: StageRun, arms: Mapping[str, Arm], beside: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Train the arms of the run's stage and write their weights and results; returns metrics.

    beside: further entries of results.json.
    """
    settings = run.recipe.classifier
    # Sorted by name, `real` first: the order of a mapping is not part of the fingerprint.
    arms = dict(sorted(arms.items(), key=lambda item: (item[0] != "real", item[0])))
    contest = open_contest(run, run.stage, arms, find_metric(run))
    aliases = find_common_aliases(arms, contest.training, settings.grid)
    contest = replace(contest, arms={name: arm for name, arm in arms.items() if name not in aliases})
    trainings = count_runs(contest)
    tournament = hold_tournament(
        contest,
        workers=run.runtime.workers,
        progress=run.runtime.progress(run.stage, trainings, "trainings"),
    )
    for name, final in tournament.final.items():
        keep_networks(run.out, name, final)
    summary = {name: _summarise(tournament, name) for name in contest.arms}
    write_json(
        run.out / RESULTS,
        {
            "arms": summary,
            "aliases": aliases,
            "generators": len(contest.training),
            "metric": contest.metric,
            "device": contest.device,
            "precision": resolve_precision(settings.precision, contest.device),
            "steps": settings.steps,
            "batch_size": settings.batch_size,
            **(beside or {}),
        },
    )
    return {
        "trainings": trainings,
        "metric": contest.metric,
        **{f"validation_{name}": round(entry["validation"], 6) for name, entry in summary.items()},
    }


def _average(rates: Sequence[float | None]) -> float | None:
    """The mean over seeds of a class's accuracy; None for a class without validation images."""
    known = [rate for rate in rates if rate is not None]
    return float(np.mean(known)) if known else None


def _summarise(tournament: Tournament, name: str) -> dict[str, Any]:
    """An arm's results, for the verdict and the report."""
    final = tournament.final[name]
    per_seed = {str(result.run.seed): result.validation for result in final}
    return {
        "setting": tournament.chosen[name].to_dict(),
        "validation": float(np.mean(list(per_seed.values()))),
        "validation_per_class": [
            _average(rates) for rates in zip(*(r.validation_per_class for r in final), strict=True)
        ],
        "per_seed": per_seed,
        "tried": [{"setting": r.run.setting.to_dict(), "validation": r.validation} for r in tournament.tried[name]],
        "losses": list(final[0].losses),
    }
