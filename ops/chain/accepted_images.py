"""Stage `accepted_images`: the rules' thresholds, an index of accepted and rejected images with reasons, and metrics.

The index depends on scores alone, so a new threshold takes seconds. Pixels are read only for pictures and metrics.
Where the generator is not used, the index has no rows, and there is nothing else.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from ops.chain.parts.each import build_each
from ops.chain.parts.earlier import SCORES
from ops.chain.parts.external_networks import open_measuring_network
from ops.chain.parts.measured import measure_accepted
from ops.chain.parts.scoring import list_scores
from ops.chain.parts.units import list_units
from ops.datasets.index import locate_rows, read_index, write_index
from ops.datasets.pixels import read_images
from ops.datasets.shards import find_shards
from ops.files.outputs import CONTACT_SHEET, GENERATED, HELD_OUT_SCORES, INDEX, QUALITY, REJECTED_SHEET, ROUNDS, RULES
from ops.files.storage import read_json, write_json
from ops.filters.reasons import REASONS, SURPLUS
from ops.filters.results import read_skill
from ops.filters.rules import decide, find_reasons, set_limits
from ops.generators.units import Unit, have_parents
from ops.pictures.sheets import write_sheet
from ops.planning.plan import ExpansionPlan, read_plan
from ops.planning.quota import Round, explain_stops, join_stops, share_plan
from ops.report.galleries import write_rejected_sheet
from ops.stages.materialization import StageRun
from ops.stages.refused import REFUSED, read_refused
from ops.stages.several import count_generators
from ops.stages.unused import read_unused

PER_CLASS = 12  # images on the contact sheet


def build_accepted_images(run: StageRun) -> dict[str, Any]:
    """Accept or reject each generator's images."""
    rejected = [f"rejected_{reason}" for reason in (*REASONS, SURPLUS)]
    counts = ("generated", "accepted", "shortfall", "shortfall_by_class", *rejected)
    return build_each(run, _accept_one, count_generators(run.inputs["generated_images"]), summed=counts)


def _accept_one(run: StageRun) -> dict[str, Any]:
    """Write rules.json, index.parquet, the rounds, metrics and sheets. A shortfall is counted, and its check fails."""
    generated = run.inputs["generated_images"]
    plan = read_plan(run.inputs["expansion_plan"])
    if read_unused(generated):
        return _accept_none(run, plan)
    refused = read_refused(generated) or {}
    plan = plan.without(refused)
    real, scores = (pl.read_parquet(generated / name, glob=False) for name in (HELD_OUT_SCORES, SCORES))
    shards = find_shards(generated, GENERATED)
    index = locate_rows(shards).join(scores.drop("label"), on="image_id", how="left", maintain_order="left")
    labels, classes = index["label"].to_numpy(), len(plan.classes)

    skill = read_skill(real, classes)
    if skill is not None and skill.doubt:
        run.runtime.sink(f"accepted_images: {skill.doubt}")
    limits = set_limits(list_scores(real), real["label"].to_numpy(), classes, run.recipe.filter)
    found = find_reasons(list_scores(index), labels, limits)
    record = read_json(generated / ROUNDS)
    units = list_units(record, [entry.name for entry in plan.classes], run.inputs["real_images"])
    quotas, places = share_plan(plan, units), _place_rows(index, units)
    reasons = decide(found, places, [quota.wanted for quota in quotas])
    keep = np.array([not why for why in reasons])

    columns = [pl.Series("keep", keep), pl.Series("reasons", reasons, dtype=pl.List(pl.String))]
    write_index(run.out / INDEX, index.insert_column(4, columns[0]).insert_column(5, columns[1]))
    write_index(run.out / HELD_OUT_SCORES, real)
    write_json(run.out / RULES, {"rules": [limit.to_dict() for limit in limits]})
    passing, numbers = ~np.any(list(found.values()), axis=0), index["round"].to_numpy()
    rounds = [
        Round(
            tuple(entry["drawn"]),
            tuple(np.bincount(places[passing & (numbers == i)], minlength=len(units)).tolist()),
        )
        for i, entry in enumerate(record["rounds"])
    ]
    stopped: list[str] = [*join_stops(explain_stops(quotas, rounds), units, classes)]
    stopped = [REFUSED if entry.name in refused else stop for entry, stop in zip(plan.classes, stopped, strict=True)]
    varied = {"parents": record["parents"], REFUSED: refused} if have_parents(units) else {}
    write_json(run.out / ROUNDS, {**varied, "rounds": [entry.to_dict() for entry in rounds], "stopped": stopped})
    kept = [np.flatnonzero(keep & (labels == label)) for label in range(classes)]
    extractor = open_measuring_network(run.recipe.filter, run.workspace.root)
    measures = measure_accepted(
        run.inputs,
        shards,
        np.flatnonzero(keep),
        labels,
        varied=have_parents(units),
        extractor=extractor,
        seed=run.recipe.seed,
    )
    write_json(run.out / QUALITY, [measure.to_dict() for measure in measures])
    shown = [read_images(shards, rows[:PER_CLASS].tolist()) for rows in kept]
    write_sheet(run.out / CONTACT_SHEET, _fill(shown))
    write_rejected_sheet(run.out / REJECTED_SHEET, read_index(run.out), generated)
    shortfall = {
        entry.name: entry.wanted - len(rows)
        for entry, rows in zip(plan.classes, kept, strict=True)
        if len(rows) < entry.wanted
    }
    names = [name for name, reason in REASONS.items() if have_parents(units) or reason.original != "parent"]
    counted = Counter(reason for why in reasons for reason in why)
    passed = sum(1 for why in reasons if not why or why == [SURPLUS])
    return {
        "generated": len(keep),
        "accepted": int(keep.sum()),
        "accept_rate": round(passed / max(1, len(keep)), 6),
        "shortfall": sum(shortfall.values()),
        "shortfall_by_class": shortfall,
        **{f"rejected_{reason}": counted[reason] for reason in (*names, SURPLUS)},
        "mean_label_probability": round(float(index["label_probability"].mean() or 0), 6),  # type: ignore[arg-type]
        **{m.name: round(m.value, 6) for m in measures if m.label is None and m.value is not None},
        **(
            {}
            if skill is None
            else {"scorer_accuracy": round(skill.accuracy, 6), "scorer_chance": round(skill.chance, 6)}
        ),
        "median_train_distance": round(float(index["train_distance"].median() or 0), 6),  # type: ignore[arg-type]
    }


def _accept_none(run: StageRun, plan: ExpansionPlan) -> dict[str, Any]:
    columns = [pl.Series("keep", [], dtype=pl.Boolean), pl.Series("reasons", [], dtype=pl.List(pl.String))]
    write_index(run.out / INDEX, locate_rows([]).with_columns(columns))
    missing = {entry.name: entry.wanted for entry in plan.classes if entry.wanted}
    return {"generated": 0, "accepted": 0, "shortfall": plan.wanted, "shortfall_by_class": missing}


def _place_rows(index: pl.DataFrame, units: Sequence[Unit]) -> np.ndarray:
    """The position of each row's unit in `units`, int64 [n]."""
    if not have_parents(units):
        return index["label"].to_numpy()
    places = {unit.parent: place for place, unit in enumerate(units)}
    return np.array([places[parent] for parent in index["parent_id"]], np.int64)


def _fill(rows: list[np.ndarray]) -> list[np.ndarray]:
    """The rows with one image shape: an empty row takes it from another class."""
    shape = next((row.shape[1:] for row in rows if len(row)), (1, 1, 1))
    return [row if len(row) else np.empty((0, *shape), np.uint8) for row in rows]
