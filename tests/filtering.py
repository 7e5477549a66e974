"""An output of the stage `accepted_images` made up in its own format: index, rules, rounds and held-out scores."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from ops.datasets.index import write_index
from ops.filters.reasons import REASONS, SURPLUS
from ops.filters.results import HELD_OUT, ROUNDS, RULES
from ops.storage import write_json

SCORES = ("label_probability", "label_margin", "clip_agreement", "typicality", "train_distance", "generated_distance",
          "contrast", "saturation", "unsafe_probability", "held_out_distance")  # fmt: skip
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
    return pl.DataFrame(columns)


def make_held_out(labels: Sequence[int], *, seed: int = 1) -> pl.DataFrame:
    random, count = np.random.default_rng(seed), len(labels)
    return pl.DataFrame(
        {"image_id": [f"v{row}" for row in range(count)], "label": labels,
         **{name: pl.Series([None] * count if name in OPTIONAL else random.uniform(0.4, 2.0, count), dtype=pl.Float32)
            for name in SCORES},
         "nearest_train_id": [f"r{row % 4}" for row in range(count)]}
    )  # fmt: skip


def make_rule(reason: str, threshold: float | None, classes: int, **changes: Any) -> dict[str, Any]:
    above = reason in ("unsafe", "saturated")
    return {
        "reason": reason, "score": REASONS[reason].score, "side": "above" if above else "below",
        "thresholds": [threshold] * classes, "calibrated": threshold is not None,
        "calibration_images": [40] * classes, "real_rejected": [0.01] * classes, "pooled": [False] * classes,
    } | changes  # fmt: skip


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
    held_out.write_parquet(accepted / HELD_OUT)
    write_json(accepted / RULES, {"rules": list(rules)})
    drawn, kept = (
        [[len(rows.filter(label=label, round=number)) for label in range(len(names))] for number in range(rounds)]
        for rows in (index, index.filter("keep"))
        for rounds in [1 + int(index["round"].max() or 0)]  # type: ignore[call-overload]
    )
    rounds = [{"drawn": one, "accepted": other} for one, other in zip(drawn, kept, strict=True)]
    write_json(accepted / ROUNDS, {"rounds": rounds, "stopped": list(stopped)})
    classes = [
        {"name": name, "real": 25, "wanted": want, "drawn": drawn[0][label]}
        for label, (name, want) in enumerate(zip(names, wanted, strict=True))
    ]
    write_json(
        plan / "plan.json",
        {"wanted": sum(wanted), "drawn": sum(entry["drawn"] for entry in classes), "classes": classes},
    )
