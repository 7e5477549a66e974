"""What would help most on this source: the chain's own measurements in one list, the best next step on top.

Every row is a change of one thing against the baseline that validation picked. Rows that the chain measured have a
difference with its interval: on the test images from answers that the verdict has already, or on validation images.
Rows that it did not measure say what would measure them; nothing is estimated for them. Generated images are one row.

Several rows are read off the same test images and ranked by their estimates, so the uppermost one is lucky more often
than not. The limits of all rows that the baseline lacks therefore hold together: the tail of each is divided by their
number (Bonferroni). Two kinds of row are never the best next step: what an arm that validation did not pick has, which
would choose a baseline by test images, and what was extrapolated. It opens no pictures and looks at no test image
again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ops.machine.durations import describe_duration
from ops.statistics.proportions import find_quantile
from ops.verdict.comparison import Comparison
from ops.verdict.estimate import find_critical
from ops.verdict.points import format_points
from ops.verdict.same_compute import name_way
from ops.verdict.worth.money import HOUR, Prices

State = Literal["open", "not picked", "extrapolated", "taken", "not measured"]
ORDER: tuple[State, ...] = ("open", "not picked", "extrapolated", "taken", "not measured")
NOTES = {  # of rows with a figure
    "open": "",
    "not picked": "not picked by validation",
    "extrapolated": "extrapolated",
    "taken": "in the baseline already",
}
LIMITS = ("estimate", "low", "high", "df")  # of an interval of verdict.json
PARTS = {"augmentation": "augmentation", "pairing": "mixing images"}  # ingredients that have rows of their own


@dataclass(frozen=True)
class Step:
    """state: `taken` where the picked baseline has it already, `not picked` where only an arm has it that validation
    did not pick. gain: with the limits of its interval; None where nothing was measured. where: on which images. cost,
    how: for people; how says how to take the step, or measure it.
    """

    name: str
    state: State
    gain: dict[str, float] | None
    where: str
    cost: str
    how: str


@dataclass(frozen=True)
class Measured:
    """What the chain has measured.

    verdict: the content of verdict.json, without folds and not judged by the worst class. correct: bool [S, n] on the
    test images of labels int [n], by trained arm. units: int [n], as in `Comparison`. baselines: settings of these arms
    as they were trained, plain JSON, equal where arms do the same. worth: of `value_gains`; None where the recipe does
    not ask. suspects: labels that are probably wrong. has_prior: whether the recipe has one. seconds: that making the
    images took; None where it is not known.
    """

    verdict: Mapping[str, Any]
    correct: Mapping[str, npt.NDArray[np.bool_]]
    labels: npt.NDArray[np.integer[Any]]
    units: npt.NDArray[np.integer[Any]] | None
    baselines: Mapping[str, Mapping[str, Any]]
    worth: Mapping[str, Any] | None
    suspects: int
    has_prior: bool
    seconds: float | None
    prices: Prices


def rank_steps(found: Measured) -> dict[str, Any]:
    """`sentence`, `rows` and `together`, plain JSON. Rows come in the order of their states, each by gain.

    together: how many rows the limits of the open ones and of those that were not picked hold for.
    """
    rows = [
        *_list_ingredients(found), _tell_length(found), *_list_ways(found), _tell_generated(found), _tell_labels(found),
        *_list_mended(found), *_list_prior(found),
    ]  # fmt: skip
    together = sum(_is_looked_at(row) for row in rows)
    tail = (1.0 - found.verdict["confidence"]) / 2.0
    ranked = sorted(
        (_set_limits(row, tail, together) for row in rows),
        key=lambda row: (ORDER.index(row.state), -(row.gain or {"estimate": 0.0})["estimate"]),
    )
    return {"sentence": _choose(ranked, together), "rows": [asdict(row) for row in ranked], "together": together}


def _is_looked_at(row: Step) -> bool:
    """Whether the row might tempt somebody: measured, and not in the picked baseline."""
    return row.state in ("open", "not picked") and row.gain is not None


def _set_limits(row: Step, tail: float, together: int) -> Step:
    """The row with limits that hold for so many rows together, where it is one of them.

    Each limit moves away from the estimate by the ratio of the two quantiles of Student's t. Of the decisive difference
    that is a little too far, because its limits also allow for the pick.
    """
    if row.gain is None:
        return row
    estimate, low, high = (row.gain[key] for key in ("estimate", "low", "high"))
    wider = 1.0
    if _is_looked_at(row):
        wider = find_critical(tail / together, row.gain["df"]) / find_critical(tail, row.gain["df"])
    limits = {"low": estimate - wider * (estimate - low), "high": estimate + wider * (high - estimate)}
    return replace(row, gain={"estimate": estimate, **limits})


def _choose(ranked: list[Step], together: int) -> str:
    """The best next step, which is the largest gain of the open ones that is shown to be one; what was extrapolated
    stands beside it."""
    open_rows = [(row, row.gain) for row in ranked if row.state == "open" and row.gain is not None]
    drawn = [(row, row.gain) for row in ranked if row.state == "extrapolated" and row.gain is not None]
    extrapolated = "".join(
        f" Extrapolated, not measured: {row.name}, {format_points(gain)} points ({row.cost})." for row, gain in drawn
    )
    for row, gain in open_rows:
        if gain["low"] > 0.0:
            among = f"chosen by them among {together} rows, which its interval allows for; " if together > 1 else ""
            return (
                f"The best next step of those that were measured: {row.name}, {format_points(gain)} points, read off"
                f" the {row.where} images ({among}{row.cost}).{extrapolated}"
            )
    unknown = [row.name for row in ranked if row.state == "not measured"]
    rest = f"; not measured yet: {', '.join(unknown)}" if unknown else ""
    if open_rows and open_rows[0][1]["estimate"] > 0.0:
        row, gain = open_rows[0]
        rest = f"; largest by its estimate is {row.name}, {format_points(gain)} points on {row.where} images{rest}"
    judged = f" when {together} rows are judged together" if together > 1 else ""
    return f"Nothing that was measured here is shown to gain over the picked baseline{judged}{rest}.{extrapolated}"


def _differ(found: Measured, arm: str, other: str) -> dict[str, float]:
    """Score of `arm` minus that of `other` on the test images, in the verdict's metric."""
    comparison = Comparison({name: found.correct[name] for name in (arm, other)}, found.labels, units=found.units)
    gap = comparison.differ(arm, other, found.verdict["metric"], tail=(1.0 - found.verdict["confidence"]) / 2.0)
    return {"estimate": gap.estimate, "low": gap.low, "high": gap.high, "df": gap.df}


def _list_ingredients(found: Measured) -> list[Step]:
    """Augmentation and mixing of the picked baseline, or what other arms have of them, each by two arms that differ in
    it alone."""
    baseline = found.verdict["baseline"]
    own, rows, cost = found.baselines[baseline], [], "the same number of steps"
    for key, name in PARTS.items():
        if own[key]["kind"] != "none":
            title = f"{name}: {own[key]['kind']} against none"
            if (pair := _find_pair(found, key)) is None:
                how = f"an arm like {baseline} with {key}: none among the baselines would measure it"
                rows.append(Step(title, "not measured", None, "test", cost, how))
            else:
                how = f"{baseline} has it; measured as {pair[0]} against {pair[1]}"
                rows.append(Step(title, "taken", _differ(found, *pair), "test", cost, how))
            continue
        others = [arm for arm in found.baselines if arm in found.correct and _is_alike(found, arm, baseline, key)]
        rows += [
            Step(
                f"{name}: {found.baselines[arm][key]['kind']}", "not picked", _differ(found, arm, baseline), "test",
                cost, f"{arm} has it; more validation images would tell whether to pick it",
            )
            for arm in others
        ]  # fmt: skip
        if not others:
            how = f"an arm like {baseline} with {key} among the baselines"
            rows.append(Step(name, "not measured", None, "test", cost, how))
    return rows


def _find_pair(found: Measured, key: str) -> tuple[str, str] | None:
    """A trained arm with the picked baseline's ingredient, and one without any, otherwise alike: the baseline itself if
    it has such a counterpart, else another arm."""
    baseline = found.verdict["baseline"]
    chosen = found.baselines[baseline][key]
    arms = [arm for arm in found.baselines if arm in found.correct]
    pairs = [
        (arm, other)
        for arm in sorted(arms, key=lambda arm: arm != baseline)
        for other in arms
        if found.baselines[arm][key] == chosen
        and found.baselines[other][key]["kind"] == "none"
        and _is_alike(found, arm, other, key)
    ]
    return pairs[0] if pairs else None


def _is_alike(found: Measured, arm: str, other: str, key: str) -> bool:
    """Whether two arms differ in this ingredient, and in nothing else."""
    one, two = found.baselines[arm], found.baselines[other]
    return one[key] != two[key] and _drop(one, key) == _drop(two, key)


def _drop(keys: Mapping[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in keys.items() if name != key}


def _tell_length(found: Measured) -> Step:
    """The last doubling of the steps, which the picked baseline has behind it; the next one was not trained."""
    baseline, curve = found.verdict["baseline"], found.verdict.get("curve")
    points = [point for point in curve["points"] if point["arm"] == baseline] if curve else []
    name, cost = "longer training", "twice the training"
    how = (
        f"tuning.most_steps: {2 * found.verdict['budget']['steps']}, or growset plan NAME --learning-curve where the"
        " recipe does not choose its steps"
    )
    if len(points) < 2 or points[-1]["gain"] is None:
        return Step(name, "not measured", None, "validation", cost, how)
    gain, steps = points[-1]["gain"], (points[-2]["steps"], points[-1]["steps"])
    reach = find_quantile(found.verdict["confidence"]) * points[-1]["gain_error"]
    limits = {"estimate": gain, "low": gain - reach, "high": gain + reach}
    told = f"{steps[1]:,} steps instead of {steps[0]:,}"
    return Step(told, "taken", limits, "validation", cost, f"{baseline} has them; for twice as many: {how}")


def _list_ways(found: Measured) -> list[Step]:
    return [
        Step(
            name_way(row), "open", {key: row["over_baseline"][key] for key in LIMITS}, "test",
            f"{row['passes']} evaluations of each image", "average the probabilities; no further training",
        )
        for row in found.verdict["same_compute"]
        if row["arm"] == found.verdict["baseline"]
    ]  # fmt: skip


def _tell_generated(found: Measured) -> Step:
    """The decisive difference, whose limits allow for the pick; the verdict judges it alone, by narrower ones."""
    decisive = next((row for row in found.verdict["contrasts"] if row["role"] == "decisive"), None)
    if decisive is None:
        how = "train the generator longer or on more images; the report says why it was not used"
        return Step("generated images", "not measured", None, "test", "", how)
    spent = "time was not measured here" if found.seconds is None else f"{describe_duration(found.seconds)} to make"
    if found.seconds is not None and found.prices.hour is not None:
        spent += f", {found.prices.tell(found.prices.hour * found.seconds / HOUR)}"
    gain = {key: decisive["difference"][key] for key in LIMITS}
    how = f"train as {decisive['arm']}; the verdict judges this one difference alone, by its own interval"
    return Step("generated images", "open", gain, "test", spent, how)


def _tell_labels(found: Measured) -> Step:
    """Read off the curve beyond its end. A law falls everywhere, so that this gain cannot be below 0."""
    if found.worth is None:
        how = "report.worth: {} in the recipe: the baseline trained again on parts of its labels"
        return Step("more labels", "not measured", None, "validation", "", how)
    more = found.worth.get("more_labels")
    if more is None:
        how = "a smaller part in report.worth.shares" if found.worth["enough"] else "more images, so that shares differ"
        return Step("more labels", "not measured", None, "validation", "", how)
    count = f"{more['labels']:,} labels"
    paid = "" if found.prices.label is None else f", {found.prices.tell(found.prices.label * more['labels'])}"
    return Step(
        "half as many labels again", "extrapolated", more["gain"], "validation", f"{count}{paid}",
        "read off the curve over labels beyond its end, where a law cannot show a loss",
    )  # fmt: skip


def _list_mended(found: Measured) -> list[Step]:
    """What correct labels would gain shows only when they are there; nothing where no label looks wrong."""
    if not found.suspects:
        return []
    paid = "" if found.prices.label is None else f", {found.prices.tell(found.prices.label * found.suspects)}"
    how = "correct them in the source (growset inspect), and run it again"
    cost = f"{found.suspects:,} label{'' if found.suspects == 1 else 's'} to look at{paid}"
    return [Step("mended labels", "not measured", None, "test", cost, how)]


def _list_prior(found: Measured) -> list[Step]:
    """A prior is part of what generated images gain, where there is one."""
    if found.has_prior:
        return []
    return [
        Step(
            "a prior", "not measured", None, "test", "images without labels, and its training",
            "a recipe with prior: {pool: …} on the same source (growset docs priors)",
        )
    ]  # fmt: skip
