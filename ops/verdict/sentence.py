"""The verdict in one sentence: decision, size of the effect, metric, test images, budget and scope.

Where the generator was not used, or the classifiers have not learnt enough to judge by, a sentence before it says so.
The sentence uses only the
verdict's fields. It names the baseline as the arm that validation picked, writes better and worse in words and never as
a sign. A verdict without evidence gives the smallest detectable effect.
"""

from __future__ import annotations

from ops.verdict.estimate import Interval
from ops.verdict.metric import NAMES
from ops.verdict.points import bound_difference, choose_decimals
from ops.verdict.records import Budget, Contrast, Verdict

CLEAR_AS_WHOLE_POINTS = 0.05  # a difference that is as clear without decimals


def write_sentence(verdict: Verdict) -> str:
    """The sentence of a verdict whose other fields are filled in."""
    if verdict.unused is not None:
        return _tell_unused(verdict)
    decisive = next(c for c in verdict.contrasts if c.role == "decisive")
    gap = decisive.difference
    level = f"{100 * verdict.confidence:g} % interval"
    if verdict.looks == 2:
        level += " over both looks"
    picked = f"{verdict.baseline}, the arm without generated data that validation picked"
    place = _name_place(verdict)
    if verdict.decision == "helps":
        others = _count_others(verdict, "baseline")
        text = f"Expansion helps: {verdict.challenger} is {_size(gap)} points better than {picked} "
        text += f"({level} {_range(gap)}){f', and better than {others}' if others else ''}, {place}"
    elif verdict.decision == "hurts":
        loss, others = _negate(gap), _count_others(verdict, "expanded")
        text = f"Expansion hurts: {verdict.challenger} is {_size(loss)} points worse than {picked} "
        text += f"({level} {_range(loss)}){f', and so is {others}' if others else ''}, {place}"
    else:
        text = f"{_open(verdict, gap)}: {verdict.challenger} {_compare(gap)} {picked} "
        text += f"({level} {_signed_range(gap)}), {place}{_explain(verdict)}"
    return text + "."


def _tell_unused(verdict: Verdict) -> str:
    """Why the generator was not used, and what the picked baseline reaches."""
    score = next(row.score for row in verdict.arms if row.arm == verdict.baseline)
    text = f"The generator was not used: {verdict.unused}. So there is no evidence on expansion. "
    text += f"Without generated images {verdict.baseline}, the arm that validation picked, reaches {_size(score)} % "
    text += f"({100 * verdict.confidence:g} % interval {_range(score)}) {_name_test(verdict)}."
    if not verdict.has_learnt:
        text += f" The classifiers have not learnt enough to judge by: {_name_shortfall(verdict)}."
    return text


def _open(verdict: Verdict, gap: Interval) -> str:
    """How a verdict without evidence begins."""
    if verdict.has_learnt:
        return f"No evidence {_name_side(verdict, gap)}"
    shortfall = _name_shortfall(verdict)
    return f"The classifiers have not learnt enough to judge by: {shortfall}. So there is no evidence either way"


def _name_shortfall(verdict: Verdict) -> str:
    """`mixup reaches 38 %, logistic regression on gradient histograms 89 %`, or what chance would reach."""
    row = verdict.reference
    assert row is not None
    unit = f" % {NAMES[row.metric]}" if row.metric != verdict.metric else " %"
    if row.shortfall == "below_reference":
        decimals = 0 if abs(row.gap.estimate) >= CLEAR_AS_WHOLE_POINTS else choose_decimals(row.gap.estimate)
        reached, other = (f"{100 * score.estimate:.{decimals}f}" for score in (row.baseline, row.score))
        return f"{verdict.baseline} reaches {reached}{unit}, {row.name} {other} %"
    level = f"{100 * verdict.confidence:g} % interval {_range(row.baseline)}"
    return (
        f"{verdict.baseline} reaches {_size(row.baseline)}{unit} ({level}), "
        f"and answers that ignore the image {100 * row.chance:.1f} %"
    )


def _name_side(verdict: Verdict, gap: Interval) -> str:
    if verdict.trainings < verdict.least_seeds or gap.low <= 0 <= gap.high:
        return "either way"
    return "that expansion helps" if gap.low > 0 else "that expansion hurts"


def _explain(verdict: Verdict) -> str:
    """Why nothing was decided, and the effect that would have been found."""
    reasons = []
    gap = next(c for c in verdict.contrasts if c.role == "decisive").difference
    if verdict.trainings < verdict.least_seeds:
        noun = "seed" if verdict.folds is None else "training"
        reasons.append(f"{_count(verdict.trainings, noun)} cannot decide, at least {verdict.least_seeds} do")
        if verdict.trainings == 1:
            reasons.append("what another seed would give is not measured")
    elif verdict.has_learnt and gap.low > 0:
        needed = [c for c in verdict.contrasts if c.arm == verdict.challenger and c.difference.low <= 0]
        reasons.append(_name_open(min(needed, key=lambda contrast: contrast.difference.estimate)))
    elif verdict.has_learnt and gap.high < 0:
        needed = [c for c in verdict.contrasts if c.against == verdict.baseline and c.difference.high >= 0]
        reasons.append(_name_open(max(needed, key=lambda contrast: contrast.difference.estimate)))
    if verdict.has_learnt and verdict.look < verdict.looks:
        reasons.append("this is the first of two looks, the second has more seeds")
    least = verdict.smallest_detectable_effect if verdict.has_learnt else None
    if least is not None and least >= 1:
        reasons.append("no true difference, however large, would be found four times in five")
    elif least is not None:
        reasons.append(f"a true difference below {100 * least:.2g} points would be missed more than one time in five")
    return "".join(f"; {reason}" for reason in reasons)


def _name_open(found: Contrast) -> str:
    """A contrast that a decision needs and that is not clear."""
    return f"but {tell_contrast(found)}"


def tell_contrast(found: Contrast) -> str:
    """`expanded is 0.3 points better than mixup (0.1 worse to 0.7 better)`."""
    return f"{found.arm} {_compare(found.difference)} {found.against} ({_signed_range(found.difference)})"


def _name_place(verdict: Verdict) -> str:
    scope = "for this generated set"
    if verdict.generators > 1:
        scope = f"for another generator of this recipe ({verdict.generators} were trained)"
    if verdict.folds is not None:
        scope = "for new training images and another generator of this recipe"
    return f"{_name_test(verdict)}, {scope}"


def _name_test(verdict: Verdict) -> str:
    article = "the " if verdict.metric == "worst_class" else ""
    trained = _count(verdict.seeds, "seed")
    if verdict.folds is not None:
        left_out = f" ({verdict.unused_folds} of them without generated images)" if verdict.unused_folds else ""
        trained = f"{verdict.folds} folds{left_out} with {trained} each"
    groups = "" if verdict.test_groups is None else f" of {verdict.test_groups:,} groups"
    return (
        f"in {article}{NAMES[verdict.metric]} on {verdict.test_images:,} test images{groups} over {trained}, after "
        f"{_name_steps(verdict.budget)} of batch {_name_batch(verdict.budget)}"
    )


def _name_batch(budget: Budget) -> str:
    """`64`, or `64 (without labels up to 256)`."""
    if budget.largest_batch is None:
        return f"{budget.batch_size}"
    return f"{budget.batch_size} (without labels up to {budget.largest_batch})"


def _name_steps(budget: Budget) -> str:
    most = _count(budget.steps, "step")
    if budget.fewest_steps is None:
        return most
    return f"{budget.fewest_steps:,} to {most}, chosen for each arm on validation,"


def _count_others(verdict: Verdict, kind: str) -> str:
    """`the other arm without` or `each of the 3 other arms without`; empty if there are no others."""
    # A placebo has no generated images either.
    others = sum((row.kind == "expanded") == (kind == "expanded") and row.same_as is None for row in verdict.arms) - 1
    noun = "without" if kind == "baseline" else "with generated data"
    if others == 0:
        return ""
    return f"the other arm {noun}" if others == 1 else f"each of the {others} other arms {noun}"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _compare(gap: Interval) -> str:
    if round(gap.estimate, 12) == 0:  # equal scores, summed in another order
        return "is as good as"
    if gap.estimate > 0:
        return f"is {_size(gap)} points better than"
    return f"is {_size(_negate(gap))} points worse than"


def _signed_range(gap: Interval) -> str:
    low, high = bound_difference(gap.low), bound_difference(gap.high)
    decimals = choose_decimals(gap.estimate, low, high)
    return " to ".join(_sign(limit, decimals) for limit in sorted((low, high), reverse=gap.estimate < 0))


def _sign(limit: float, decimals: int) -> str:
    if limit == 0:
        return "0"
    return f"{abs(100 * limit):.{decimals}f} {'better' if limit > 0 else 'worse'}"


def _range(gap: Interval) -> str:
    low, high = bound_difference(gap.low), bound_difference(gap.high)
    decimals = choose_decimals(gap.estimate, low, high)
    return f"{100 * low:.{decimals}f} to {100 * high:.{decimals}f}"


def _size(gap: Interval) -> str:
    return f"{100 * gap.estimate:.{choose_decimals(gap.estimate, gap.low, gap.high)}f}"


def _negate(gap: Interval) -> Interval:
    return Interval(-gap.estimate, -gap.high, -gap.low, gap.standard_error, gap.df)
