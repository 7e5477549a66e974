"""An output of the stage `accepted_images` made up in its own format: index, rules, rounds and held-out scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from ops.datasets.index import locate_rows, write_index
from ops.datasets.pixels import PixelDataset, build_rows, write_shards
from ops.files.outputs import HELD_OUT_SCORES, QUALITY, ROUNDS, RULES
from ops.files.storage import write_json
from ops.filters.reasons import REASONS, SURPLUS
from ops.filters.results import AppliedRule, Results
from ops.metrics.set_quality import METRICS, Measure
from ops.planning.plan import ClassPlan

SCORES = ("label_probability", "label_margin", "clip_agreement", "typicality", "naturalness", "train_distance",
          "generated_distance", "structure", "saturation", "unsafe_probability", "held_out_distance")  # fmt: skip
OPTIONAL = ("clip_agreement", "unsafe_probability", "held_out_distance")  # null unless an option asks for them


def make_index(
    reasons: Sequence[Sequence[str]], labels: Sequence[int], *, rounds: Sequence[int] | None = None, seed: int = 0
) -> pl.DataFrame:
    """One row per list of reasons; scores are drawn, those of reasons that were found are small."""
    random, count = np.random.default_rng(seed), len(labels)
    scores = {name: random.uniform(0.6, 2.0, count) for name in SCORES}
    for row, found in enumerate(reasons):
        for reason in found:
            if reason != SURPLUS:
                scores[REASONS[reason].score][row] = random.uniform(0.0, 0.3)
    columns: dict[str, Any] = {
        "image_id": [f"g{row}" for row in range(count)], "shard": ["generated-00000-of-00001.parquet"] * count,
        "row": range(count), "label": labels, "round": rounds or [0] * count,
        "keep": [not found for found in reasons],
        "reasons": pl.Series([list(found) for found in reasons], dtype=pl.List(pl.String)),
        **{name: pl.Series([None] * count if name in OPTIONAL else values, dtype=pl.Float32)
           for name, values in scores.items()},
        "predicted": labels, "nearest_train_id": [f"r{row % 4}" for row in range(count)],
        "copy_of_train": ["copy_of_train" in found for found in reasons],
        "nearest_generated_id": pl.Series([f"g{row - 1}" if row else None for row in range(count)], dtype=pl.String),
        "repeat": ["repeat" in found for found in reasons],
        "nearest_held_out_id": pl.Series([None] * count, dtype=pl.String),
        "held_out_split": pl.Series([None] * count, dtype=pl.String),
    }  # fmt: skip
    types = {"label": pl.Int64, "round": pl.Int64, "row": pl.Int64, "predicted": pl.Int64, "keep": pl.Boolean}
    return pl.DataFrame(columns, schema_overrides=types)


def make_held_out(labels: Sequence[int], *, seed: int = 1) -> pl.DataFrame:
    random, count = np.random.default_rng(seed), len(labels)
    return pl.DataFrame(
        {"image_id": [f"v{row}" for row in range(count)], "label": labels,
         **{name: pl.Series([None] * count if name in OPTIONAL else random.uniform(0.4, 2.0, count), dtype=pl.Float32)
            for name in SCORES},
         "nearest_train_id": [f"r{row % 4}" for row in range(count)]},
        schema_overrides={"label": pl.Int64},
    )  # fmt: skip


def make_rule(reason: str, threshold: float | None, classes: int, **changes: Any) -> dict[str, Any]:
    above = reason in ("unsafe", "saturated")
    return {
        "reason": reason, "score": REASONS[reason].score, "side": "above" if above else "below",
        "thresholds": [threshold] * classes, "calibrated": threshold is not None,
        "calibration_images": [40] * classes, "real_rejected": [0.01] * classes, "pooled": [False] * classes,
    } | changes  # fmt: skip


def make_results(
    index: pl.DataFrame,
    held_out: pl.DataFrame,
    names: Sequence[str],
    wanted: Sequence[int],
    *,
    rules: Sequence[dict[str, Any]],
    stopped: Sequence[str],
) -> Results:
    """What `read_results` would read."""
    plan = tuple(
        ClassPlan(name, 25, want, len(index.filter(label=label)), 4 * want)
        for label, (name, want) in enumerate(zip(names, wanted, strict=True))
    )
    return Results(index, held_out, tuple(map(AppliedRule.from_dict, rules)), tuple(stopped), plan)


def list_measures(classes: int) -> list[dict[str, Any]]:
    """All metrics by two extractors, overall and of each class; the last class has too few images for any."""
    return [
        Measure(metric, extractor, label, 0.5, 0.4, 0.625, 0.25, 90, 97).to_dict()
        if label != classes - 1
        else Measure(metric, extractor, label, None, None, None, None, 3, 5, "3 and 5 images are too few").to_dict()
        for extractor in ("scorer", "random")
        for label in (None, *range(classes))
        for metric in METRICS
    ]


def write_results(
    accepted: Path,
    plan: Path,
    index: pl.DataFrame,
    held_out: pl.DataFrame,
    names: Sequence[str],
    wanted: Sequence[int],
    *,
    rules: Sequence[dict[str, Any]],
    stopped: Sequence[str],
) -> None:
    """The folders of the two stages, without manifests."""
    accepted.mkdir(parents=True, exist_ok=True)
    write_index(accepted / "index.parquet", index)
    held_out.write_parquet(accepted / HELD_OUT_SCORES)
    write_json(accepted / RULES, {"rules": list(rules)})
    drawn, kept = (
        [[len(rows.filter(label=label, round=number)) for label in range(len(names))] for number in range(rounds)]
        for rows in (index, index.filter("keep"))
        for rounds in [1 + int(index["round"].max() or 0)]
    )
    rounds = [{"drawn": one, "accepted": other} for one, other in zip(drawn, kept, strict=True)]
    write_json(accepted / ROUNDS, {"rounds": rounds, "stopped": list(stopped)})
    classes = [
        {"name": name, "real": 25, "wanted": want, "drawn": drawn[0][label], "limit": 4 * want}
        for label, (name, want) in enumerate(zip(names, wanted, strict=True))
    ]
    counts = {key: sum(entry[key] for entry in classes) for key in ("wanted", "drawn", "limit")}
    write_json(plan / "plan.json", {**counts, "rounds": 5, "classes": classes})


FILTERED = ("real_images", "expansion_plan", "generated_images", "accepted_images")
CLASSES = ("Boot", "<b>Coat</b> & 'hat'")


def fill_filters(folder: Mapping[str, Path], random: np.random.Generator, side: int = 8, channels: int = 3) -> None:
    """Outputs of the stages in FILTERED, in little: four training, four validation and eight generated random images.

    Boot has three accepted and a near copy of r0, the other class one image of each of four reasons; its copy of a
    validation image and its copy of a test image differ in that alone. No test image lies anywhere.
    """
    images = random.integers(0, 256, (16, side, side, channels), np.uint8)
    labels = [0, 0, 1, 1]
    for split, first in (("train", 0), ("validation", 4)):
        ids = [f"{split[0].replace('t', 'r')}{row}" for row in range(4)]
        dataset = PixelDataset(images[first : first + 4], build_rows(labels, ids, split=split), CLASSES)
        write_shards(folder["real_images"], dataset, prefix=split)
    rows = build_rows([0] * 4 + [1] * 4, [f"g{row}" for row in range(8)], split="train", is_generated=True)
    shards = write_shards(folder["generated_images"], PixelDataset(images[8:], rows, CLASSES), prefix="generated")
    reasons = [[], [], ["near_copy_of_train"], [], ["wrong_label"], ["near_repeat"], ["copy_of_held_out"],
               ["copy_of_held_out"]]  # fmt: skip
    index = make_index(reasons, [0] * 4 + [1] * 4, rounds=[0] * 6 + [1] * 2)
    placed = locate_rows(shards).select("shard", "row")
    index = index.with_columns(
        placed["shard"], placed["row"],
        train_distance=pl.Series([0.9, 0.6, 0.1, 0.7] + [1.0] * 4, dtype=pl.Float32),
        nearest_train_id=pl.Series(["r3", "r0", "r0", "r1"] + ["r2"] * 4),
        predicted=pl.Series([0] * 5 + [1] * 3),
        nearest_held_out_id=pl.Series([None] * 6 + ["v2", "t0"]),
        held_out_split=pl.Series([None] * 6 + ["validation", "test"]),
    )  # fmt: skip
    write_results(
        folder["accepted_images"], folder["expansion_plan"], index, make_held_out(labels), CLASSES, [3, 50],
        rules=[make_rule("wrong_label", 0.5, 2), make_rule("near_copy_of_train", 0.4, 2)], stopped=["quota", "stall"],
    )  # fmt: skip
    write_json(folder["accepted_images"] / QUALITY, list_measures(len(CLASSES)))
