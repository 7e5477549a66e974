"""Whether what was said of gains held, by the results: the mean gain of a claim, paired by seed, beside its margin.

A claim holds where the whole 95 % interval over the seeds lies on the expected side, and does not where it lies on the
other one. Claims are judged one by one: of twenty claims about nothing, one is expected to be decided.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
import polars as pl

from ops.study.design import ClassifierPart
from ops.study.measures import MEASURES, name_measure
from ops.study.sections import Claim
from ops.study.summary import Difference, average_networks, find_difference
from ops.study.tables import NOTHING, format_difference, format_table

CONFIDENCE = 0.95
Judgement = Literal["held", "did not hold", "open", "not measured"]
Values = Mapping[tuple[str, str], float]  # by setting and arm


def render_claims(part: ClassifierPart, table: pl.DataFrame) -> list[str]:
    """A table of the part's claims; no line where it has none. table: rows of complete blocks."""
    rows = []
    for claim in part.claims.values():
        measure = MEASURES[claim.measure or part.measures[0]]
        for steps in sorted(part.steps):
            found = measure_claim(part, claim, table, steps)
            rows.append(
                [
                    claim.says,
                    _describe(part, claim),
                    f"{steps:,}",
                    NOTHING if found is None else str(found.seeds),
                    format_difference(found, measure.scale, measure.digits),
                    judge(claim, found, measure.scale),
                ]
            )
    if not rows:
        return []
    return [
        "What was said, and what came out: means over settings, arms and seeds, with 95 % intervals over the seeds. A"
        " claim is open where its interval leaves both possible.",
        "",
        *format_table(["claim", "as it was tried", "steps", "seeds", "found", "so it"], rows),
        "",
    ]


def measure_claim(part: ClassifierPart, claim: Claim, table: pl.DataFrame, steps: int) -> Difference | None:
    """What the claim is about, over the seeds that have all of it; None where no seed has."""
    means = average_networks(table.filter(pl.col("steps") == steps), claim.measure or part.measures[0])
    found = list[float]()
    for _, rows in means.drop_nulls("value").group_by("seed", maintain_order=True):
        values = {(setting, arm): value for setting, arm, value in rows.select("setting", "arm", "value").iter_rows()}
        gain = _average(part, claim, claim.settings, values)
        other = 0.0 if claim.than is None else _average(part, claim, claim.than, values)
        if gain is not None and other is not None:
            found.append(gain - other)
    return find_difference(np.array(found), CONFIDENCE) if found else None


def judge(claim: Claim, found: Difference | None, scale: float) -> Judgement:
    """What the results say of a claim. scale: of the measure, as it is shown."""
    if found is None:
        return "not measured"
    if found.half_width is None:
        return "open"
    low, high = (scale * (found.mean + sign * found.half_width) - claim.margin for sign in (-1, 1))
    if claim.expects == "below":
        low, high = -high, -low
    return "held" if low > 0 else "did not hold" if high < 0 else "open"


def _average(part: ClassifierPart, claim: Claim, settings: Sequence[str], values: Values) -> float | None:
    """The mean gain of the claim's arms that some settings train; None where one is not there."""
    gaps = []
    for setting in settings:
        arms = [arm for arm in claim.arms if arm not in part.leave_out.get(setting, ())]
        places = [(setting, arm) for arm in (*arms, claim.over)]
        if any(place not in values for place in places):
            return None
        gaps.append(np.mean([values[setting, arm] for arm in arms]) - values[setting, claim.over])
    return float(np.mean(gaps))


def _describe(part: ClassifierPart, claim: Claim) -> str:
    """`accuracy of x1 and x3 over plain, in 10 and 100, minus in 500: above 0`."""
    name = name_measure(claim.measure or part.measures[0]).partition(":")[0]
    than = f", minus in {_join(claim.than)}" if claim.than else ""
    left_out = [part.leave_out.get(setting, ()) for setting in claim.list_settings()]
    arms = _join([arm for arm in claim.arms if not all(arm in names for names in left_out)])
    settings = _join(claim.settings)
    return f"{name} of {arms} over {claim.over}, in {settings}{than}: {claim.expects} {claim.margin:g}"


def _join(names: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
