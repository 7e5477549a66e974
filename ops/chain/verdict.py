"""Stage `verdict`: evaluate the stored classifiers on the test split, once, and decide.

The weights are loaded from disk and evaluated anew, so that what is judged is what was kept. This is the
only place where test pixels meet a classifier; every time is written to the evaluation log first.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from safetensors import safe_open

from ops.chain.classifiers import RESULTS, to_nchw, weights_file
from ops.classifiers.network import SmallResNet
from ops.classifiers.training import WORKER_SHARE, predict
from ops.datasets.pixels import read_split
from ops.looks import find_looks
from ops.parallel import map_processes, shared, worth_workers
from ops.stage import StageRun
from ops.storage import read_json, replace_file, write_json
from ops.verdict.decision import Kind, decide
from ops.verdict.evaluation_log import Evaluation, append_evaluation

SIDES: dict[str, Kind] = {"baseline_classifiers": "baseline", "expanded_classifiers": "expanded"}


@dataclass(frozen=True)
class Candidate:
    """One trained network: the file of its arm and its seed."""

    arm: str
    seed: str
    path: Path


def build_verdict(run: StageRun) -> dict[str, Any]:
    """Write runs.parquet (correct per arm, seed and test image) and verdict.json."""
    results = {side: read_json(run.inputs[side] / RESULTS) for side in SIDES}
    kinds = {arm: kind for side, kind in SIDES.items() for arm in [*results[side]["arms"], *results[side]["aliases"]]}
    entries = {arm: entry for side in SIDES for arm, entry in results[side]["arms"].items()}
    aliases = {alias: arm for side in SIDES for alias, arm in results[side]["aliases"].items()}
    candidates = [
        Candidate(arm, seed, run.inputs[side] / weights_file(arm))
        for side in SIDES
        for arm, entry in results[side]["arms"].items()
        for seed in entry["per_seed"]
    ]
    looks = find_looks(run.workspace, run.expansion)
    append_evaluation(
        run.workspace.evaluations,
        Evaluation(
            time=datetime.now(UTC).isoformat(timespec="seconds"),
            expansion=run.expansion,
            split="test",
            fingerprint=run.fingerprint,
            arms=list(entries),
            seeds=[int(seed) for seed in next(iter(entries.values()))["per_seed"]],
            images=looks.images,
            content=looks.content,
            elsewhere=looks.elsewhere,
            absorbed=looks.absent,
        ),
    )
    test = read_split(run.inputs["real_images"], "test")
    correct = evaluate(candidates, to_nchw(test.images), test.labels, len(test.class_names), run.runtime.workers)

    by_arm = {arm: np.stack([correct[arm, seed] for seed in entry["per_seed"]]) for arm, entry in entries.items()}
    settings = run.recipe.verdict
    verdict = decide(
        by_arm,
        kinds,
        {arm: entry["validation_accuracy"] for arm, entry in entries.items()},
        test.labels,
        test.class_names,
        aliases=aliases,
        confidence=settings.confidence,
        resamples=settings.resamples,
        seed=run.recipe.seed,
    )
    write_json(run.out / "verdict.json", verdict.to_dict())
    _write_runs(run.out / "runs.parquet", correct, test.rows["image_id"], entries)
    run.runtime.sink(verdict.sentence)
    summary = verdict.to_dict()
    decisive = next(c for c in summary["contrasts"] if c["role"] == "decisive")["difference"]
    return {
        "decision": verdict.decision,
        "sentence": verdict.sentence,
        "difference": round(decisive["estimate"], 6),
        "difference_low": round(decisive["low"], 6),
        "difference_high": round(decisive["high"], 6),
        "smallest_detectable_effect": summary["smallest_detectable_effect"],
        **find_looks(run.workspace, run.expansion).to_metrics(),
        **{f"test_{row['arm']}": round(row["accuracy"]["estimate"], 6) for row in summary["arms"]},
    }


def evaluate(
    candidates: list[Candidate], images: np.ndarray, labels: np.ndarray, classes: int, workers: int
) -> dict[tuple[str, str], np.ndarray]:
    """Whether each candidate (arm, seed) classifies each image right: bool [n]. Images uint8 [n, C, H, W]."""
    share = {"images": images, "labels": labels, "classes": classes}
    workers = worth_workers(workers, len(candidates) * len(images), 4 * WORKER_SHARE)
    return dict(map_processes(_evaluate_one, candidates, workers=workers, share=share))


def _evaluate_one(candidate: Candidate) -> tuple[tuple[str, str], np.ndarray]:
    images, labels = shared("images"), shared("labels")
    prefix = f"{candidate.seed}/"
    with safe_open(candidate.path, framework="pt") as file:
        state = {key.removeprefix(prefix): file.get_tensor(key) for key in file.keys() if key.startswith(prefix)}  # noqa: SIM118
    width = state["head.weight"].shape[1] // 2
    model = SmallResNet(images.shape[1], shared("classes"), width)
    model.load_state_dict(state)
    answers = predict(model.eval(), torch.from_numpy(images)).argmax(1).numpy()
    return (candidate.arm, candidate.seed), answers == labels


def _write_runs(
    path: Path, correct: dict[tuple[str, str], np.ndarray], image_ids: pl.Series, entries: dict[str, Any]
) -> None:
    ordered = [(arm, seed) for arm, entry in entries.items() for seed in entry["per_seed"]]
    table = pl.concat(
        pl.DataFrame({"image_id": image_ids, "correct": correct[key]}).select(
            pl.lit(key[0]).alias("arm"), pl.lit(int(key[1])).alias("seed"), "image_id", "correct"
        )
        for key in ordered
    )
    with replace_file(path) as temporary:
        table.write_parquet(temporary, compression="zstd", statistics=False)
