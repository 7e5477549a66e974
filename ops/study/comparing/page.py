"""The page of a comparison: self-contained HTML with the look of a report. It reads no data; facts in, markup out."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Template

from ops.recipe.stages import STAGES
from ops.report.page import make_environment, split_headline
from ops.verdict.metric import NAMES

TEMPLATE = "comparison.html"
DIFFERENCES = ("over_best", "gain", "behind")


@cache
def _open_template() -> Template:
    return make_environment(Path(__file__).parent).get_template(TEMPLATE)


def render_comparison(facts: Mapping[str, Any]) -> str:
    """The page as HTML of the facts of `compare_recipes`; equal facts give equal text."""
    finished = [row for row in facts["recipes"] if row["state"] == "finished"]
    gaps = [row[key] for row in finished for key in DIFFERENCES if row[key] is not None]
    limit = max((abs(gap[end]) for gap in gaps for end in ("low", "high", "estimate")), default=0.0) or 1.0
    metric = facts.get("metric")
    return _open_template().render(
        {"decision": None, "leader": None, **facts},
        finished=finished,
        has_worth=any(row["worth"] for row in finished),
        with_gains=[row for row in finished if row["over_best"] is not None],
        pending=[row for row in facts["recipes"] if row["state"] == "pending"],
        metric=NAMES[metric] if metric else None,
        level=f"{100 * facts['confidence']:g}" if finished else None,
        limit=limit,
        stages=[stage for stage in STAGES if any(stage in row["seconds"] for row in finished)],
        headline=split_headline(facts["sentence"]),
    )
