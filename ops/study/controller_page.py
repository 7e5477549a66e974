"""What a study's page says of arms that leave their settings to the controller: its choices, their cost, its regret.

Regret is the arm's difference to the fixed arms that it chooses among, which equal it but for what it leaves open: to
the one that is best on the evaluation images, which nobody could have chosen, and to the one that each seed's
validation would have chosen after training them all.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl

from ops.recipe.arms import AUTO, Arm
from ops.recipe.automatic import is_automatic, list_automatic, may_fall_back, settle_arm
from ops.recipe.control import SHARE
from ops.recipe.counterparts import simplify
from ops.recipe.strength import read_strength
from ops.study.design import ClassifierPart
from ops.study.measures import MEASURES, name_measure
from ops.study.summary import (
    Difference,
    average_networks,
    average_seeds,
    compare,
    find_best,
    find_difference,
    keep_whole_seeds,
)
from ops.study.tables import NOTHING, Key, format_difference, format_table, order_keys

CONFIDENCE = 0.95


def render_controller(
    part: ClassifierPart, baselines: Mapping[str, Arm], expanded: Mapping[str, Arm], table: pl.DataFrame
) -> list[str]:
    """Markdown lines; none where no arm says auto."""
    arms = {**baselines, **expanded}
    if not (asking := list_automatic(arms)):
        return []
    name = part.measures[0]
    measure, values = MEASURES[name], average_networks(table, name)
    keys = order_keys(part.steps, tuple(part.settings), dict.fromkeys(_list_keys(values)))
    lines = [
        "What the controller chose, seed by seed, and the steps of its races as a share of those of the arm's final"
        f" trainings in a recipe. The cap of {100 * SHARE:.0f} % is over both arms together, on real images and with"
        " generated ones, so one of them may lie above it:",
        "",
        *_format_choices(part, asking, expanded, keys, table),
        "",
    ]
    if measure.lower_is_better is None:
        return lines
    fixed = {arm: list_fixed(arm, baselines, expanded) for arm in asking}
    unit = measure.step and f", in {measure.step}"
    best, chosen = (
        "the fixed arm that is best on evaluation images (picked on these images)",
        "the fixed one that validation chooses at each seed",
    )
    rows = []
    for setting, steps in keys:
        for arm in _list_trained(part, setting, asking):
            gap, rival = find_regret(values, (setting, steps), arm, fixed[arm], lowest=measure.lower_is_better)
            picked, counts = find_picked(
                values, average_networks(table, "validation"), (setting, steps), arm, fixed[arm]
            )
            shown = [
                NOTHING if found is None else f"{format_difference(found, measure.scale, measure.digits)}: {other}"
                for found, other in ((gap, rival), (picked, _tell_counts(counts)))
            ]
            rows.append([setting, f"{steps:,}", arm, *shown])
    return [
        *lines,
        f"The controller's arms minus the fixed ones that they choose among in {name_measure(name)}{unit}, paired by"
        " seed, with 95 % intervals over the seeds:",
        "",
        *format_table([part.varies, "steps", "arm", best, chosen], rows),
        "",
    ]


def list_fixed(arm: str, baselines: Mapping[str, Arm], expanded: Mapping[str, Arm]) -> list[str]:
    """The arms that an automatic one chooses among: equal but for what is auto, and where it may leave generated images
    out, these arms on real images alone."""
    if arm in baselines:
        return [name for name, each in baselines.items() if _is_chosen(baselines[arm], each)]
    own = expanded[arm]
    found = [name for name, each in expanded.items() if _is_chosen(own, each)]
    alone = [name for name, each in baselines.items() if may_fall_back(own) and _is_chosen(simplify(own), each)]
    return [*alone, *found]


def _is_chosen(asking: Arm, fixed: Arm) -> bool:
    """Whether `fixed` is `asking` with numbers in the place of auto."""
    if is_automatic(fixed):
        return False
    settled = settle_arm(asking, strength=read_strength(fixed.strength)) if asking.strength == AUTO else asking
    if may_fall_back(asking):
        settled = settled.model_copy(update={"real_weight": fixed.real_weight})
    return settled.spell_out() == fixed.spell_out()


def find_regret(
    values: pl.DataFrame, key: Key, arm: str, fixed: Sequence[str], *, lowest: bool
) -> tuple[Difference | None, str]:
    """`arm` minus the one of `fixed` with the best mean over the seeds, and its name; values: of `average_networks`."""
    means = average_seeds(keep_whole_seeds(_select(values, key).filter(pl.col("arm").is_in([arm, *fixed]))))
    best = find_best(means, fixed, lower_is_better=lowest).get(key)
    return (None, "") if best is None else (compare(values, arm, best).get(key), best)


def find_picked(
    values: pl.DataFrame, validation: pl.DataFrame, key: Key, arm: str, fixed: Sequence[str]
) -> tuple[Difference | None, Counter[str]]:
    """`arm` minus the one of `fixed` that is best on validation at a seed, over the seeds, and how often each was.

    values, validation: of `average_networks`. Of equally good arms the first counts. A seed at which the validation of
    one of `fixed` is not known, because it was trained before any arm said auto, does not count.
    """
    order = {name: place for place, name in enumerate(fixed)}
    among = pl.col("arm").is_in(list(fixed))
    judged = _select(validation, key).filter(among).drop_nulls("value")
    unknown = _select(values, key).filter(among).drop_nulls("value").join(judged, on=["seed", "arm"], how="anti")
    judged = judged.join(unknown, on="seed", how="anti")
    ranked = judged.sort(pl.col("arm").replace_strict(order, return_dtype=pl.Int64)).sort(
        "value", descending=True, maintain_order=True
    )
    best = ranked.unique("seed", keep="first", maintain_order=True).select("seed", "arm")
    found = _select(values, key).drop_nulls("value").select("seed", "arm", "value")
    joined = found.filter(pl.col("arm") == arm).select("seed", own="value")
    joined = joined.join(best.join(found, on=["seed", "arm"]), on="seed").sort("seed")
    gaps = (joined["own"] - joined["value"]).to_numpy()
    return (find_difference(np.asarray(gaps), CONFIDENCE) if len(gaps) else None), Counter(joined["arm"].to_list())


def _format_choices(
    part: ClassifierPart, asking: Sequence[str], expanded: Mapping[str, Arm], keys: Sequence[Key], table: pl.DataFrame
) -> list[str]:
    rows = []
    for key in keys:
        for arm in _list_trained(part, key[0], asking):
            own = _select(table, key).filter(pl.col("arm") == arm).unique(["seed", "measure"], maintain_order=True)
            found = {
                name: own.filter(pl.col("measure") == name).sort("seed")["value"].to_list()
                for name in ("chosen_strength", "chosen_real_weight", "uses_generated", "race_steps")
            }
            cost = [value for value in found["race_steps"] if value is not None]
            rows.append(
                [
                    key[0],
                    f"{key[1]:,}",
                    arm,
                    _list_values(found["chosen_strength"]),
                    _list_values(found["chosen_real_weight"]),
                    _tell_used(expanded.get(arm), found["uses_generated"]),
                    f"{100 * float(np.mean(cost)):.0f} %" if cost else NOTHING,
                ]
            )
    heads = [part.varies, "steps", "arm", "strength", "N", "seeds with generated images", "races"]
    return format_table(heads, rows)


def _tell_used(arm: Arm | None, used: Sequence[float | None]) -> str:
    """In how many seeds an arm of the expanded side used generated images; a seed without a generator decided nothing.

    used: by seed, None where nothing was decided. "all" of an arm that must use them.
    """
    if arm is None:
        return NOTHING
    if arm.real_weight != AUTO:
        return "all"
    decided = [value for value in used if value is not None]
    return f"{sum(map(bool, decided))} of {len(decided)}"


def _list_trained(part: ClassifierPart, setting: str, arms: Sequence[str]) -> list[str]:
    """Those of the arms that a setting does not leave out."""
    return [arm for arm in arms if arm not in part.leave_out.get(setting, ())]


def _list_values(values: Sequence[float | None]) -> str:
    return ", ".join(NOTHING if value is None else f"{value:.3g}" for value in values) or NOTHING


def _tell_counts(counts: Counter[str]) -> str:
    """`weak (2), strong`: the arms with the number of seeds that picked them."""
    return ", ".join(f"{name} ({count})" if count > 1 else name for name, count in counts.most_common())


def _select(rows: pl.DataFrame, key: Key) -> pl.DataFrame:
    return rows.filter((pl.col("setting") == key[0]) & (pl.col("steps") == key[1]))


def _list_keys(values: pl.DataFrame) -> list[Key]:
    return [(setting, steps) for setting, steps in values.select("setting", "steps").unique().iter_rows()]
