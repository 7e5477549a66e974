"""The gains of a verdict on the learning curve of its baseline: rows, sentences, and money.

It reads the content of verdict.json and label_curve.json and computes no more than `ops.verdict.worth.labels` does. The
luck of the draws is fixed, so that equal results give equal figures.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ops.verdict.metric import NAMES
from ops.verdict.points import format_points
from ops.verdict.same_compute import name_way
from ops.verdict.worth.curve import Fit, LabelCurve, fit_curve
from ops.verdict.worth.labels import REACH, Gain, Worth, convert_gain
from ops.verdict.worth.law import LEAST_SIZES
from ops.verdict.worth.money import Prices, tell_price, tell_time
from ops.verdict.worth.telling import explain_worth, tell_worth

DRAWS, LUCK = 2000, 0  # of laws and gains, and the seed of both
MORE = 1.5  # times the labels that there are: half as many again


@dataclass(frozen=True)
class Row:
    """A gain over the picked baseline, and what it is worth. name: of what gains."""

    name: str
    gain: Gain
    worth: Worth

    def to_dict(self) -> dict[str, Any]:
        gain = {key: getattr(self.gain, key) for key in ("estimate", "low", "high", "df")}
        return {"name": self.name, "gain": gain, "worth": self.worth.to_dict(), "told": tell_worth(self.worth)}


def value_gains(
    curve: LabelCurve, verdict: Mapping[str, Any], *, what: str, prices: Prices, seconds: float | None
) -> dict[str, Any]:
    """What report, card and terminal show, as plain JSON: `sentences`, `rows`, the curve with its law, and `enough`.

    `spent`, a sentence or None, is what the time cost: it stands apart because it differs wherever the chain is run.

    verdict: the content of verdict.json. what: the generated images that the challenger learnt from, in words.
    seconds: that making them took; None where it is not known.
    """
    found: dict[str, Any] = {
        "curve": curve.to_dict(),
        "enough": curve.is_enough,
        "rows": [],
        "law": None,
        "more_labels": None,
        "spent": None,
    }
    if not curve.is_enough:
        return {**found, "sentences": [_tell_lack(curve)]}
    fit = fit_curve(curve, DRAWS, np.random.default_rng(LUCK))
    confidence = float(verdict["confidence"])

    def convert(name: str, interval: Mapping[str, float]) -> Row:
        gain = Gain.from_dict(interval)
        return Row(name, gain, convert_gain(fit, curve.sizes, gain, confidence, np.random.default_rng(LUCK)))

    rows = [
        convert(row["arm"], row["difference"]) for row in verdict["contrasts"] if row["against"] == verdict["baseline"]
    ]
    sentences, spent = [], None
    if verdict["challenger"] is not None:
        sentences = [explain_worth(rows[0].worth, what, confidence)]
        if money := tell_price(rows[0].worth, curve.classes, prices):
            sentences.append(money)
        spent = tell_time(prices, seconds)
    rows += [
        convert(name_way(row), row["over_baseline"])
        for row in verdict["same_compute"]
        if row["arm"] == verdict["baseline"]
    ]
    sentences.append(_tell_curve(curve, fit, confidence))
    if fit.enlarged > 1.0:
        sentences.append(
            "The points lie farther from every law that was tried than chance explains, so their errors were enlarged"
            f" {fit.enlarged:.1f} times."
        )
    more = _find_more_labels(curve, fit, confidence, MORE)
    return {
        **found,
        "more_labels": more,
        "spent": spent,
        "rows": [row.to_dict() for row in rows],
        "law": _describe_law(fit, curve),
        "sentences": sentences,
    }


def _find_more_labels(curve: LabelCurve, fit: Fit, confidence: float, times: float) -> dict[str, Any] | None:
    """What so many times the labels would gain on validation by the curve, which no law lets be a loss; None where the
    curve does not reach so far."""
    if min(REACH, curve.sizes[-1] / curve.sizes[0]) < times:
        return None
    tail = (1.0 - confidence) / 2.0
    gains = [laws.errors - laws.find_errors([times * curve.sizes[-1]])[:, 0] for laws in (fit.free, fit.bending)]
    limits = np.array([np.quantile(each[1:], [tail, 1.0 - tail]) for each in gains])
    estimate = float(gains[0][0])
    gain = {"estimate": estimate, "low": min(estimate, limits[:, 0].min()), "high": max(estimate, limits[:, 1].max())}
    labels = round((times - 1.0) * curve.points[-1].images)
    return {"labels": labels, "gain": {key: float(value) for key, value in gain.items()}}


def _tell_lack(curve: LabelCurve) -> str:
    sizes = len(curve.points)
    return (
        f"No gain is told in labels: the parts of {curve.points[-1].images:,} labels that the recipe names are"
        f" {sizes} different size{'' if sizes == 1 else 's'} with all of them, and a curve needs {LEAST_SIZES}."
    )


def _tell_curve(curve: LabelCurve, fit: Fit, confidence: float) -> str:
    """What the curve is of, and what twice the labels would gain, where it can tell."""
    own = "" if curve.arm == curve.picked else f", because the teacher of {curve.picked} saw all labels"
    doubled = _find_more_labels(curve, fit, confidence, 2.0)
    gain = ""
    if doubled is not None:
        gain = f"; extrapolated by it, twice the labels would gain {format_points(doubled['gain'])} points"
    return (
        f"The curve is that of {curve.arm}{own}, trained with {curve.sizes[0]:,.3g} to {curve.sizes[-1]:,.4g} labels"
        f" per class and scored in {NAMES[curve.metric]} on {curve.validation_images:,} validation images{gain}."
    )


def _describe_law(fit: Fit, curve: LabelCurve) -> dict[str, Any]:
    free = fit.free
    return {
        "errors_by_size": [float(each) for each in free.find_errors(curve.sizes)[0]],
        "errors": float(free.errors[0]),
        "slope": float(free.slope[0]),
        "exponent": float(free.exponent[0]),
        "enlarged": fit.enlarged,
    }
