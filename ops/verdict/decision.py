"""The decision: does training with generated images help, hurt, or is there no evidence either way?

Validation scores choose the two arms that meet (the best baseline and the best expanded arm); the test images
only judge that one meeting, so no correction for multiple comparisons is due. All other contrasts are
exploratory and their intervals are uncorrected.

    helps        the interval of challenger - baseline lies above 0, and so does that of challenger - real
    hurts        the interval of challenger - baseline lies below 0
    no evidence  otherwise, with the smallest effect that this design would have detected

It does not know how arms were trained, which images were generated, where files lie, or how a report looks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from math import isfinite
from typing import Any, Literal, get_args

import numpy as np

from ops.errors import UserError
from ops.verdict.bootstrap import (
    BoolArray,
    Draws,
    IntArray,
    Interval,
    bootstrap_classes,
    find_smallest_detectable,
    summarise,
)

Kind = Literal["baseline", "expanded"]
Outcome = Literal["helps", "no evidence", "hurts"]
Role = Literal["decisive", "condition", "exploratory"]


@dataclass(frozen=True)
class ArmRow:
    """One arm on the test images, accuracies in [0, 1]; `same_as` names the trained arm an alias equals."""

    arm: str
    kind: Kind
    same_as: str | None
    validation: float
    accuracy: Interval
    balanced_accuracy: Interval
    per_seed: list[float]


@dataclass(frozen=True)
class Contrast:
    """Accuracy of `arm` minus accuracy of `against`, paired over images and seeds.

    Role: `decisive` is challenger against baseline, `condition` is challenger against real where the baseline
    is another arm (`helps` needs both), every other one is `exploratory`.
    """

    arm: str
    against: str
    role: Role
    difference: Interval


@dataclass(frozen=True)
class ClassRow:
    """Challenger minus baseline on the test images of one class; None where the class has no images."""

    label: int
    name: str
    images: int
    baseline: float | None
    challenger: float | None
    difference: Interval | None


@dataclass(frozen=True)
class Verdict:
    """What `verdict.json` says about the decision; effects and accuracies are fractions.

    `smallest_detectable_effect` is None where the resamples do not vary at all (identical answers), so that
    nothing can be said about what would have been detected. `worst_class` has the lowest difference.
    """

    decision: Outcome
    sentence: str
    confidence: float
    resamples: int
    challenger: str
    baseline: str
    chosen_on: str
    arms: list[ArmRow]
    contrasts: list[Contrast]
    per_class: list[ClassRow]
    worst_class: str
    smallest_detectable_effect: float | None
    seeds: int
    test_images: int

    def to_dict(self) -> dict[str, Any]:
        """Plain dicts, lists, strings and finite numbers, ready for strict JSON."""
        return asdict(self)


@dataclass(frozen=True)
class _Case:
    """The checked inputs with the shared resamples; `correct` is bool [A, S, n] in the order of `names`."""

    names: list[str]
    kinds: Mapping[str, Kind]
    validation: Mapping[str, float]
    correct: BoolArray
    labels: IntArray
    class_names: Sequence[str]
    draws: Draws
    confidence: float

    def choose_best(self, kind: Kind) -> str:
        return max((n for n in self.names if self.kinds[n] == kind), key=lambda n: self.validation[n])


def decide(
    correct: Mapping[str, BoolArray],
    kinds: Mapping[str, Kind],
    validation: Mapping[str, float],
    labels: IntArray,
    class_names: Sequence[str],
    *,
    real: str = "real",
    aliases: Mapping[str, str] | None = None,
    generators: int = 1,
    confidence: float = 0.95,
    resamples: int = 10_000,
    seed: int = 0,
) -> Verdict:
    """Decide between `helps`, `hurts` and `no evidence`.

    correct: per trained arm bool [S, n], the same S seeds and n test images in the same order for all.
    kinds: per trained arm `baseline` (no generated data) or `expanded`.
    validation: per trained arm its mean validation score over seeds, higher is better; ties go to the first.
    labels: int [n] in [0, len(class_names)).
    real: the baseline trained on the real images as they are.
    aliases: arms that were not trained because they equal a trained one (alias -> trained arm).
    generators: how many independently trained generators the expanded arms' seeds span.

    The same inputs and seed give the same verdict, in any order of the test images. UserError for a choice of
    arms or settings that cannot be judged, ValueError for arrays that do not fit together.
    """
    aliases = dict(aliases or {})
    names = list(correct)
    _check_settings(confidence, resamples)
    _check_arms(correct, kinds, validation)
    _check_meeting(names, kinds, real, aliases)

    stack = np.stack([correct[name] for name in names])
    draws = bootstrap_classes(stack, labels, n_classes=len(class_names), resamples=resamples, seed=seed)
    case = _Case(names, kinds, validation, stack, labels, class_names, draws, confidence)
    challenger, baseline = case.choose_best("expanded"), case.choose_best("baseline")
    contrasts = _contrast_arms(case, challenger, baseline, real)
    decisive = next(c for c in contrasts if c.role == "decisive")
    condition = next((c for c in contrasts if c.role == "condition"), decisive)

    decision: Outcome = "no evidence"
    if decisive.difference.low > 0 and condition.difference.low > 0:
        decision = "helps"
    elif decisive.difference.high < 0:
        decision = "hurts"
    detectable = find_smallest_detectable(decisive.difference.standard_error, confidence)
    rows = {name: _describe_arm(case, a) for a, name in enumerate(names)}
    per_class = _contrast_classes(case, names.index(challenger), names.index(baseline))
    measured = [(row.difference.estimate, row.name) for row in per_class if row.difference is not None]
    return Verdict(
        decision=decision,
        sentence=_write_sentence(case, decision, decisive, condition, detectable, generators),
        confidence=confidence,
        resamples=resamples,
        challenger=challenger,
        baseline=baseline,
        chosen_on="validation",
        arms=[*rows.values(), *(replace(rows[t], arm=alias, same_as=t) for alias, t in aliases.items())],
        contrasts=contrasts,
        per_class=per_class,
        worst_class=min(measured)[1],
        smallest_detectable_effect=detectable,
        seeds=stack.shape[1],
        test_images=stack.shape[2],
    )


def _check_settings(confidence: float, resamples: int) -> None:
    if not 0.5 <= confidence < 1.0:
        raise UserError(f"confidence must be at least 0.5 and below 1, not {confidence}.")
    # Ten draws in each tail, below which the bounds are mostly noise.
    least = round(20 / (1.0 - confidence))
    if resamples < least:
        raise UserError(f"resamples must be at least {least} at confidence {confidence}, not {resamples}.")


def _check_arms(correct: Mapping[str, BoolArray], kinds: Mapping[str, Kind], validation: Mapping[str, float]) -> None:
    shapes = {name: values.shape for name, values in correct.items()}
    if len(set(shapes.values())) > 1 or any(len(shape) != 2 for shape in shapes.values()):
        raise ValueError(f"every arm must be [seeds, images] of one shape, not {shapes}")
    for name in correct:
        if kinds.get(name) not in get_args(Kind):
            raise ValueError(f"arm {name!r} needs one of the kinds {get_args(Kind)}, not {kinds.get(name)!r}")
        if name not in validation or not isfinite(validation[name]):
            raise ValueError(f"arm {name!r} needs a finite validation score, not {validation.get(name)!r}")


def _check_meeting(names: list[str], kinds: Mapping[str, Kind], real: str, aliases: dict[str, str]) -> None:
    baselines = [name for name in names if kinds[name] == "baseline"]
    if len(baselines) == len(names):
        raise UserError(f"A verdict needs an arm with generated images, all arms here are without: {names}.")
    if real not in baselines:
        raise UserError(f"A verdict needs the arm {real!r} without generated images, has only {baselines}.")
    for alias, arm in aliases.items():
        if alias in names or arm not in names:
            raise ValueError(f"alias {alias!r} -> {arm!r} must lead from an untrained arm to one of {names}")


def _describe_arm(case: _Case, a: int) -> ArmRow:
    name, right, draws = case.names[a], case.correct[a], case.draws
    balanced = float(np.mean([right[:, case.labels == c].mean() for c in np.unique(case.labels)]))
    return ArmRow(
        arm=name,
        kind=case.kinds[name],
        same_as=None,
        validation=float(case.validation[name]),
        accuracy=summarise(draws.means[:, a], float(right.mean()), case.confidence),
        balanced_accuracy=summarise(draws.balanced[:, a], balanced, case.confidence),
        per_seed=right.mean(axis=1).tolist(),
    )


def _contrast_arms(case: _Case, challenger: str, baseline: str, real: str) -> list[Contrast]:
    contrasts = []
    right = case.correct.sum(axis=(1, 2), dtype=np.int64)
    for name in (n for n in case.names if case.kinds[n] == "expanded"):
        for against in dict.fromkeys([baseline, real]):
            role: Role = "exploratory"
            if name == challenger:
                role = "decisive" if against == baseline else "condition"
            a, b = case.names.index(name), case.names.index(against)
            # Whole numbers are subtracted before dividing, so that equal arms differ by exactly 0.
            estimate = int(right[a] - right[b]) / case.correct[a].size
            draws = case.draws.means[:, a] - case.draws.means[:, b]
            contrasts.append(Contrast(name, against, role, summarise(draws, estimate, case.confidence)))
    return contrasts


def _contrast_classes(case: _Case, challenger: int, baseline: int) -> list[ClassRow]:
    rows = []
    for c, name in enumerate(case.class_names):
        right = case.correct[:, :, case.labels == c]
        if right.size == 0:
            rows.append(ClassRow(c, name, 0, None, None, None))
            continue
        new, old = float(right[challenger].mean()), float(right[baseline].mean())
        draws = case.draws.class_means[:, challenger, c] - case.draws.class_means[:, baseline, c]
        gap = summarise(draws, new - old, case.confidence)
        rows.append(ClassRow(c, name, right.shape[2], old, new, gap))
    return rows


def _write_sentence(
    case: _Case, decision: Outcome, decisive: Contrast, real: Contrast, least: float | None, generators: int
) -> str:
    gap, new = decisive.difference, decisive.arm
    best = f"{decisive.against}, the best arm without generated data"
    level = f"{100 * case.confidence:g} % interval "
    seeds, images = case.correct.shape[1:]
    scope = "for this generated set" if generators == 1 else f"across {generators} generated sets"
    place = f"on {images:,} test images over {seeds} seed{'' if seeds == 1 else 's'}, {scope}"
    if decision == "helps":
        text = f"Expansion helps: {new} beats {best}, by {_in_points(gap, level)} {place}"
    elif decision == "hurts":
        loss = Interval(-gap.estimate, -gap.high, -gap.low, gap.standard_error)
        text = f"Expansion hurts: {new} loses to {best}, by {_in_points(loss, level)} {place}"
    elif gap.low > 0:
        text = (
            f"No evidence that expansion helps: {new} beats {best}, by {_in_points(gap, level)}, but against "
            f"{real.against} the difference is {_in_points(real.difference)} {place}"
        )
    else:
        text = f"No evidence either way: {new} differs from {best}, by {_in_points(gap, level)} {place}"
        if least is not None:
            size = f"{100 * least:.2g} points"
            text += f"; a true difference below {size} would be missed more than one time in five"
    return text + ("; one seed: seed-to-seed variation is not measured." if seeds == 1 else ".")


def _in_points(gap: Interval, level: str = "") -> str:
    """`1.2 points (0.7 to 1.8)`; with more decimals where one would turn a bound that is not 0 into 0."""
    values = [100.0 * value for value in (gap.estimate, gap.low, gap.high)]
    decimals = next((d for d in (1, 2) if all(v == 0 or abs(v) > 0.5 * 10**-d for v in values)), 3)
    centre, low, high = (f"{value:z.{decimals}f}" for value in values)
    return f"{centre} points ({level}{low} to {high})"
