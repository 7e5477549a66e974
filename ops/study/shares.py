"""What share of a ceiling's gain an arm reaches: of the gain of the oracle, say, in a study of variants.

The gains of both are over the same arm and paired by seed. The share is the ratio of their means. Its interval is that
of Fieller (1954): all r for which a t-test of the seeds' `gain - r * ceiling's gain` does not refuse a mean of 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from scipy.special import stdtrit

from ops.study.sections import Way
from ops.study.summary import KEYS
from ops.study.tables import NOTHING, Key


@dataclass(frozen=True)
class Share:
    """value: 0 at the arm that the gain is over, 1 at the ceiling. seeds: pairs of gains that it rests on.

    interval: None for a single seed, and where no interval is bounded, because the ceiling's own gain may be 0.
    """

    value: float
    interval: tuple[float, float] | None
    seeds: int


def find_shares(
    values: pl.DataFrame, arm: str, way: Way, *, lower_is_better: bool = False, confidence: float = 0.95
) -> dict[Key, Share]:
    """The share of `arm` for each setting and number of steps, over the seeds that have all three arms.

    values: of `average_networks`. There is none where the ceiling gains nothing.
    """
    names = {arm, way.over, way.ceiling}
    wide = values.filter(pl.col("arm").is_in(names)).pivot(on="arm", index=[*KEYS, "seed"], values="value")
    if not names <= set(wide.columns):
        return {}
    found, sign = dict[Key, Share](), -1 if lower_is_better else 1
    for (setting, steps), rows in wide.drop_nulls().group_by(*KEYS, maintain_order=True):
        gains = sign * (rows[arm] - rows[way.over]).to_numpy()
        most = sign * (rows[way.ceiling] - rows[way.over]).to_numpy()
        if most.mean() > 0:
            found[str(setting), int(str(steps))] = find_share(gains, most, confidence)
    return found


def find_share(gains: np.ndarray, most: np.ndarray, confidence: float) -> Share:
    """Paired gains of an arm and of the ceiling, float [S] each; the ceiling's mean is above 0."""
    value, seeds = float(gains.mean() / most.mean()), len(gains)
    if seeds < 2:
        return Share(value, None, seeds)
    spread = np.cov(gains, most) / seeds * float(stdtrit(seeds - 1, (1 + confidence) / 2)) ** 2
    # Fieller's set is where a r² - 2 b r + c is at most 0; it is bounded for a positive a alone.
    a = float(most.mean() ** 2 - spread[1, 1])
    b = float(gains.mean() * most.mean() - spread[0, 1])
    c = float(gains.mean() ** 2 - spread[0, 0])
    if a <= 0:
        return Share(value, None, seeds)
    root = max(0.0, b * b - a * c) ** 0.5
    return Share(value, ((b - root) / a, (b + root) / a), seeds)


def format_share(share: Share | None) -> str:
    """`72 (41 to 103)`, in hundredths."""
    if share is None:
        return NOTHING
    if share.interval is not None:
        low, high = (f"{100 * end:.0f}" for end in share.interval)
        return f"{100 * share.value:.0f} ({low} to {high})"
    return f"{100 * share.value:.0f}" + " (unbounded)" * (share.seeds > 1)
