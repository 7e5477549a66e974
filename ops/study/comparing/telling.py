"""A comparison of recipes in sentences: what the best of them shows, which others it beats, and what to be wary of."""

from __future__ import annotations

from collections.abc import Sequence

from ops.recipe.design import LEAST_SEEDS
from ops.study.comparing.ranking import Ranking, Standing
from ops.study.comparing.recipes import Candidate, Finished
from ops.verdict.estimate import Interval
from ops.verdict.metric import NAMES
from ops.verdict.points import bound_difference, choose_decimals


def tell_ranking(ranking: Ranking, images: int) -> str:
    """The answer; images: how many test images there are."""
    leader = next((row for row in ranking.standings if row.recipe == ranking.leader), None)
    if leader is None or leader.over_best is None:
        return (
            "No recipe has an arm that learnt from generated images, so there is no gain to compare; the best arm"
            f" without them is {ranking.best}, by validation."
        )
    several = len(ranking.standings) > 1
    picked = f", the best of {ranking.compared} on validation," * (ranking.compared > 1)
    arm = f"{leader.challenger} of {leader.recipe}{picked}"
    best = f"{ranking.best}, the best arm without generated images" + " of all of them" * several
    level = f"{100 * ranking.confidence:g} % interval {_tell_range(leader.over_best)}"
    together = f", for {ranking.compared} comparisons together" * (ranking.compared > 1)
    text = f"{_conclude(ranking, leader)}: {arm} {_compare(leader.over_best)} {best} ({level}{together})"
    text += ", and better than every other one" * (ranking.decision == "helps")
    text += f", in {NAMES[ranking.metric]} on {images:,} test images."
    if ranking.decision == "no evidence" and leader.over_best.low > 0:
        text += (
            " Not every condition of a verdict is met: it needs enough trainings, classifiers that have learnt, and a"
        )
        text += " lead over every arm without generated images."
    if ranking.too_few:
        few = [f"{name} trains an arm {_count(times)}" for name, times in ranking.too_few.items()]
        text += f" Nothing is decided, because {' and '.join(few)}: {LEAST_SEEDS} times are needed in each recipe."
    told_apart = _tell_others(leader.recipe, ranking.standings)
    return f"{text} {told_apart}" if told_apart else text


def list_warnings(candidates: Sequence[Candidate], finished: Sequence[Finished]) -> list[str]:
    """A sentence on each thing that limits what the comparison shows."""
    found = [f"{each.recipe} {each.pending}; run: {' && '.join(each.commands)}" for each in candidates if each.pending]
    budgets = {each.recipe: each.verdict["budget"] for each in finished}
    if len({(budget["steps"], budget["batch_size"]) for budget in budgets.values()}) > 1:
        told = ", ".join(f"{name} {b['steps']:,} steps of batch {b['batch_size']}" for name, b in budgets.items())
        found.append(f"The classifiers are trained for different lengths, which may be all of a difference: {told}.")
    for each in finished:
        seeds = each.verdict["seeds"] * (each.verdict.get("folds") or 1)
        if seeds < LEAST_SEEDS:
            found.append(f"{each.recipe} trains each arm {_count(seeds)}; at least {LEAST_SEEDS} times decide.")
        if not each.entrant.has_learnt:
            found.append(f"The classifiers of {each.recipe} have not learnt enough to judge by; its report says why.")
        if not each.verdict["generator_used"]:
            found.append(f"The generator of {each.recipe} was not used, so it has no gain; its report says why.")
    return found


def _conclude(ranking: Ranking, leader: Standing) -> str:
    """How the answer begins."""
    if ranking.decision == "helps":
        return f"Expansion helps with {leader.recipe}"
    of_all = f" of these {ranking.compared} recipes" if ranking.compared > 1 else ""
    if ranking.decision == "hurts":
        return f"Expansion hurts with every arm{of_all}"
    return f"No evidence that expansion helps with the best{of_all}" if of_all else "No evidence that expansion helps"


def _tell_others(leader: str, standings: Sequence[Standing]) -> str:
    """Which other recipes the leader is better than, worse than, and not to be told from."""
    gaps = {row.recipe: row.behind for row in standings if row.behind is not None}
    groups = {
        "better than": [name for name, gap in gaps.items() if gap.low > 0],
        "worse than": [name for name, gap in gaps.items() if gap.high < 0],
        "not to be told from": [name for name, gap in gaps.items() if gap.low <= 0 <= gap.high],
    }
    parts = [f"{how} {' and '.join(names)}" for how, names in groups.items() if names]
    return f"With generated images {leader} is {', and '.join(parts)}." if parts else ""


def _compare(gap: Interval) -> str:
    if round(gap.estimate, 12) == 0:  # equal scores, summed in another order
        return "is as good as"
    points = f"{100 * abs(gap.estimate):.{choose_decimals(gap.estimate)}f}"
    return f"is {points} points {'better' if gap.estimate > 0 else 'worse'} than"


def _tell_range(gap: Interval) -> str:
    limits = [bound_difference(limit) for limit in (gap.low, gap.high)]
    decimals = choose_decimals(*limits)
    return " to ".join(f"{100 * abs(limit):.{decimals}f} {'better' if limit > 0 else 'worse'}" for limit in limits)


def _count(times: int) -> str:
    return "once" if times == 1 else f"{times} times"
