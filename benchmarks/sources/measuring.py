"""What a workspace holds after a run, whole or stopped: baselines, reference, verdict, accepted share, seconds."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np
import torch

from benchmarks.sources.reference import measure_reference
from ops.chain.parts.classifiers import BASELINES, weights_file
from ops.classifiers.answering import predict
from ops.classifiers.stored import load_classifier
from ops.datasets.axes import to_nchw
from ops.datasets.pixels import PixelDataset, read_split
from ops.files.manifests import read_manifest
from ops.files.outputs import RESULTS
from ops.files.storage import read_json
from ops.recipe.stages import STAGES
from ops.verdict.metric import score_answers
from ops.verdict.picks import pick_best
from ops.workspaces.workspace import Workspace

SPLITS = ("train", "validation", "test")


def measure(workspace: Workspace, name: str) -> dict[str, Any]:
    """What the finished stages of an expansion tell; a stage that is not there leaves its figures out."""
    found: dict[str, Any] = {"stages": measure_stages(workspace, name)}
    made = {stage for stage in STAGES if (workspace.output(name, stage) / "manifest.json").is_file()}
    if "real_images" in made:
        splits = {split: read_split(workspace.output(name, "real_images"), split) for split in SPLITS}
        found["images"] = {split: len(part) for split, part in splits.items()}
        found["shape"] = list(splits["train"].images.shape[1:])
        found["chance"] = _find_chance(splits["train"].labels, splits["test"].labels)
        found["reference"] = asdict(
            measure_reference({split: (part.images, part.labels) for split, part in splits.items()})
        )
        if BASELINES in made:
            found["baseline"] = measure_baseline(workspace, name, splits["test"])
    if "accepted_images" in made:
        metrics = read_manifest(workspace.output(name, "accepted_images"))["metrics"]
        kept = ("generated", "accepted", "accept_rate", "shortfall", "scorer_accuracy", "scorer_chance")
        if metrics["generated"]:
            found["accepted"] = {key: metrics[key] for key in kept if key in metrics}
    if "verdict" in made:
        verdict = read_json(workspace.output(name, "verdict") / "verdict.json")
        kept = ("decision", "generator_used", "sentence", "metric", "challenger", "baseline")
        found["verdict"] = {key: verdict[key] for key in kept}
    return found


def measure_stages(workspace: Workspace, name: str) -> dict[str, float]:
    """Seconds of each stage that was finished, by the run that finished it."""
    path = workspace.timings(name)
    return read_json(path) if path.exists() else {}


def measure_baseline(workspace: Workspace, name: str, test: PixelDataset) -> dict[str, Any]:
    """The arm that validation picked, its accuracy on test as the mean over seeds, and every arm's on validation."""
    folder = workspace.output(name, BASELINES)
    results = read_json(folder / RESULTS)
    arm = pick_best({each: entry["validation"] for each, entry in results["arms"].items()})
    images = torch.from_numpy(to_nchw(test.images))
    correct = np.stack(
        [
            predict(load_classifier(folder / weights_file(arm), int(seed)), images, precision=results["precision"])
            .argmax(1)
            .numpy()
            == test.labels
            for seed in results["arms"][arm]["per_seed"]
        ]
    )
    return {
        "arm": arm,
        "accuracy": float(score_answers(correct, test.labels, "accuracy").mean()),
        "balanced": float(score_answers(correct, test.labels, "balanced_accuracy").mean()),
        "metric": results["metric"],
        "validation": {each: entry["validation"] for each, entry in results["arms"].items()},
    }


def _find_chance(train: np.ndarray, test: np.ndarray) -> float:
    """Accuracy on test of who always says the largest training class."""
    return float(np.mean(test == np.bincount(train).argmax()))
