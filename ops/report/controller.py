"""The report's section on the controller: for each arm that says auto a sentence, and the settings that raced."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ops.tuning.control.start import Choice
from ops.verdict.metric import NAMES
from ops.verdict.reference import choose_checked_metric

IMAGES = {"inflated": "real and generated", "real": "real"}


def collect_controller(results: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """From each side's results.json; [] where no arm says auto."""
    return [
        _describe(name, log) | {"metric": NAMES[choose_checked_metric(found["metric"])]}
        for found in results
        for name, log in found.get("controller", {}).items()
    ]


def _describe(name: str, log: Mapping[str, Any]) -> dict[str, Any]:
    rounds, deciding, rows = log["rounds"], log["deciding"], []
    for side in IMAGES:
        for each in log["contenders"].get(side, ()):
            scores = each["scores"]
            rows.append(
                {
                    "name": Choice(each["strength"], each["real_weight"]).name,
                    "images": IMAGES[side],
                    "scores": [*scores, *[None] * (len(rounds) - len(scores))],
                    "deciding": deciding[side] if deciding is not None and each["won"] else None,
                }
            )
    return {"arm": name, "sentence": log["sentence"], "rounds": rounds, "deciding": deciding, "rows": rows}
