"""The decision: does training with generated images help, hurt, or is there no evidence either way?

Validation scores pick two arms, the best baseline and the best expanded arm (the challenger). All intervals have the
same confidence and cover test images, seeds and, where there are several, generators:

    helps        the challenger lies above *every* baseline
    hurts        *every* expanded arm lies below the picked baseline
    no evidence  otherwise, or with fewer than five trainings of an arm; given with the smallest effect that would have
                 been detected. Also where the picked baseline has not learnt enough to judge by (`reference`)

A claim about all of several arms needs no correction for their number (intersection-union test; Berger, Technometrics
24, 1982). The limits allow for the fact that validation picked with the same seeds (`contrasts`, `selection_bias`). All
arms, contrasts and the decision are in one metric.

It does not know how arms were trained, which images were generated, where files lie, or how a report looks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import isfinite
from typing import get_args

import numpy as np

from ops.errors import UserError
from ops.recipe.design import LEAST_SEEDS, POWER, Metric, refuse_generators
from ops.verdict.calibration import find_calibration_error
from ops.verdict.classes import compare_classes, score_groups
from ops.verdict.comparison import Comparison
from ops.verdict.contrasts import contrast_arms
from ops.verdict.estimate import BoolArray, FloatArray, IntArray, find_critical
from ops.verdict.looks import find_tail
from ops.verdict.picks import Picks, count_generators, set_up_comparison
from ops.verdict.records import ArmRow, Budget, Contrast, Kind, Outcome, Verdict
from ops.verdict.reference import ReferenceAnswers, compare_reference
from ops.verdict.sentence import write_sentence


def decide(
    correct: Mapping[str, BoolArray],
    kinds: Mapping[str, Kind],
    validation: Mapping[str, float],
    labels: IntArray,
    class_names: Sequence[str],
    *,
    metric: Metric,
    budget: Budget,
    aliases: Mapping[str, str] | None = None,
    confidence: float = 0.95,
    look: int = 1,
    looks: int = 1,
    generators: Sequence[int] | None = None,
    validation_images: int | None = None,
    validation_per_class: Mapping[str, Sequence[float]] | None = None,
    reference: ReferenceAnswers | None = None,
    folds: IntArray | None = None,
    unused_folds: int = 0,
    units: IntArray | None = None,
    counterparts: Sequence[tuple[str, str]] = (),
    train_counts: Sequence[int] = (),
    confidences: Mapping[str, FloatArray] | None = None,
    costs: Mapping[str, float] | None = None,
) -> Verdict:
    """Decide between `helps`, `hurts` and `no evidence`.

    correct: per trained arm bool [S, n]; S may differ between arms, the n test images may not.
    kinds: per trained arm `baseline` (real images alone), `placebo` (other images in the generated ones' place) or
        `expanded`. A placebo is never picked; `helps` needs the challenger above it, too.
    validation: per trained arm its mean validation score over seeds in `metric`; ties go to the first.
    labels: int [n] in [0, len(class_names)).
    aliases: arms that were not trained because they equal a trained one (alias -> trained arm).
    look, looks: 1 of 1; or 1 of 2, and after more seeds were trained 2 of 2 with all seeds.
    generators: which generator each seed of the expanded arms used, int [S]; None for one generator.
    validation_images: how many images `validation` comes from; None treats it as exact, which widens limits most.
    validation_per_class: per trained arm its validation accuracy on each class of `class_names` (nan where the class
        has no image), the mean over seeds; needed for the metric worst_class only.
    reference: the reference model's answers to the same test images; None leaves it out of the decision.
    folds: the fold in which each image was a test image, int [n]; row s of `correct` then holds the answers of every
        fold's network of seed s to that fold's images. None for one split.
    unused_folds: how many of the folds used nothing generated.
    units: int [n], equal for images that belong together, such as a patient's; None where each is a draw of its own.
    counterparts: pairs of an expanded arm and a baseline that differs from it in its generated images alone.
    train_counts: training images of each class, which head, middle and tail are divided by; () leaves these out.
    confidences: per trained arm the probability of the answer, float [S, n]; None leaves the calibration out.
    costs: of a step of each trained arm, in plain steps; None stands for 1 everywhere.

    UserError for arms or settings that cannot be judged, ValueError for inputs that do not fit together.
    """
    aliases = dict(aliases or {})
    case = _Case(dict(correct), kinds, validation, labels, class_names, generators)
    _check_settings(confidence, look, looks)
    if refusal := refuse_generators(count_generators(generators), min(map(len, correct.values()), default=0)):
        raise UserError(f"{refusal[0].upper()}{refusal[1:]}.")
    _check_arms(case, aliases)
    _check_images(case, units)
    setup = set_up_comparison(
        case.correct,
        kinds,
        validation,
        labels,
        metric=metric,
        generators=generators,
        validation_images=validation_images,
        validation_per_class=validation_per_class,
        folds=folds,
        units=units,
    )
    comparison, picks = setup.comparison, setup.picks
    challenger, baseline = picks.challenger, picks.baseline
    contrasts = contrast_arms(setup, metric, tail=find_tail(look, looks, confidence))
    seeds = min(len(answers) for answers in case.correct.values())
    row = None
    if reference is not None:
        row = compare_reference(
            reference,
            case.correct[baseline],
            labels,
            metric=metric,
            confidence=confidence,
            folds=folds,
            units=units,
        )
    divided = None if folds is None else len(np.unique(folds))
    has_learnt = row is None or row.shortfall is None
    decision = apply_rule(contrasts, picks, trainings=seeds * (divided or 1), has_learnt=has_learnt)
    single = (1.0 - confidence) / 2.0
    rows = [
        describe_arm(
            comparison, name, case.correct[name], kinds[name], validation[name], metric, tail=single,
            confidence=None if confidences is None else confidences[name], cost=(costs or {}).get(name, 1.0),
        )
        for name in case.names
    ]  # fmt: skip
    by_name = {row.arm: row for row in rows}
    per_class = compare_classes(
        comparison, challenger, baseline, labels, class_names, tail=single, train_counts=train_counts
    )
    verdict = Verdict(
        decision=decision,
        sentence="",
        metric=metric,
        confidence=confidence,
        look=look,
        looks=looks,
        generators=count_generators(generators),
        budget=budget,
        challenger=challenger,
        baseline=baseline,
        chosen_on="validation",
        arms=[*rows, *(replace(by_name[arm], arm=alias, same_as=arm) for alias, arm in aliases.items())],
        contrasts=contrasts,
        shares=[
            Contrast(arm, against, "share", comparison.differ(arm, against, metric, tail=single))
            for arm, against in counterparts
        ],
        per_class=per_class,
        size_groups=score_groups(comparison, case.names, train_counts),
        worst_class=min((row.difference.estimate, row.name) for row in per_class if row.difference is not None)[1],
        smallest_detectable_effect=_find_smallest_detectable(contrasts, picks),
        seeds=seeds,
        least_seeds=LEAST_SEEDS,
        test_images=len(labels),
        test_groups=None if units is None else len(np.unique(units)),
        reference=row,
        folds=divided,
        unused_folds=None if folds is None else unused_folds,
    )
    return replace(verdict, sentence=write_sentence(verdict))


@dataclass(frozen=True)
class _Case:
    """The inputs of `decide`, and lookups in them without statistics."""

    correct: dict[str, BoolArray]
    kinds: Mapping[str, Kind]
    validation: Mapping[str, float]
    labels: IntArray
    class_names: Sequence[str]
    generators: Sequence[int] | None

    @property
    def names(self) -> list[str]:
        return list(self.correct)

    def list_arms(self, kind: Kind) -> list[str]:
        return [name for name in self.correct if self.kinds[name] == kind]


def apply_rule(contrasts: Sequence[Contrast], picks: Picks, *, trainings: int, has_learnt: bool = True) -> Outcome:
    """The decision from all differences that it needs; `trainings`: how often the arm with the fewest was trained.

    has_learnt: whether the picked baseline has learnt enough to judge by.
    """
    if trainings < LEAST_SEEDS or not has_learnt:
        return "no evidence"
    if all(c.difference.low > 0 for c in contrasts if c.arm == picks.challenger):
        return "helps"
    if all(c.difference.high < 0 for c in contrasts if c.against == picks.baseline):
        return "hurts"
    return "no evidence"


def _find_smallest_detectable(contrasts: Sequence[Contrast], picks: Picks) -> float:
    """How far the challenger must truly lie from the picked baseline for each condition to be met with POWER.

    The other arms are assumed to lie where they were measured. A condition is met with probability POWER at its
    limit's distance plus t_POWER standard errors: the usual sample-size formula, solved for the effect. The hardest
    condition of `helps` and of `hurts` counts.
    """
    decisive, needed = contrasts[0].difference, []
    for contrast in contrasts:
        gap = contrast.difference
        power = find_critical(1.0 - POWER, gap.df) * gap.standard_error
        if contrast.arm == picks.challenger:
            needed.append(decisive.estimate - gap.low + power)
        if contrast.against == picks.baseline:
            needed.append(gap.high - decisive.estimate + power)
    return max(needed)


def describe_arm(
    comparison: Comparison,
    name: str,
    correct: BoolArray,
    kind: Kind,
    validation: float,
    metric: Metric,
    *,
    tail: float,
    confidence: FloatArray | None = None,
    cost: float = 1.0,
) -> ArmRow:
    """The row of a trained arm, whose networks were right on the test images as `correct` bool [S, n] says."""
    return ArmRow(
        arm=name,
        kind=kind,
        same_as=None,
        validation=float(validation),
        score=comparison.score(name, metric, tail=tail),
        accuracy=comparison.score(name, "accuracy", tail=tail),
        balanced_accuracy=comparison.score(name, "balanced_accuracy", tail=tail),
        per_seed=correct.mean(axis=1).tolist(),
        calibration_error=None if confidence is None else find_calibration_error(confidence, correct),
        cost=round(cost, 3),
    )


def _check_settings(confidence: float, look: int, looks: int) -> None:
    if not 0.5 <= confidence < 1.0:
        raise UserError(f"confidence must be at least 0.5 and below 1, not {confidence}.")
    if looks not in (1, 2) or not 1 <= look <= looks:
        raise ValueError(f"a verdict has one look or two, not look {look} of {looks}")


def _check_arms(case: _Case, aliases: Mapping[str, str]) -> None:
    for name in case.names:
        if case.kinds.get(name) not in get_args(Kind):
            raise ValueError(f"arm {name!r} needs one of the kinds {get_args(Kind)}, not {case.kinds.get(name)!r}")
        if name not in case.validation or not isfinite(case.validation[name]):
            raise ValueError(f"arm {name!r} needs a finite validation score, not {case.validation.get(name)!r}")
    if not case.list_arms("expanded"):
        raise UserError(f"A verdict needs an arm with generated images, but no arm has any: {case.names}.")
    if not case.list_arms("baseline"):
        raise UserError(f"A verdict needs an arm without generated images, but all arms have them: {case.names}.")
    for alias, arm in aliases.items():
        if alias in case.names or arm not in case.names:
            raise ValueError(f"alias {alias!r} -> {arm!r} must lead from an untrained arm to one of {case.names}")


def _check_images(case: _Case, units: IntArray | None) -> None:
    labels, classes = case.labels, len(case.class_names)
    if labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(f"labels must be int [n], not {labels.dtype} {list(labels.shape)}")
    if len(labels) < 2:
        raise UserError(f"A verdict needs at least 2 test images, not {len(labels)}.")
    if units is not None and len(np.unique(units)) < 2:
        raise UserError(f"A verdict needs test images of at least 2 groups; all {len(labels):,} are of one.")
    if labels.min() < 0 or labels.max() >= classes:
        raise ValueError(f"labels must lie in 0..{classes - 1}, found {labels.min()}..{labels.max()}")
    for name, answers in case.correct.items():
        if answers.ndim != 2 or answers.dtype != np.bool_ or answers.shape[1] != len(labels) or not len(answers):
            found = f"{answers.dtype} {list(answers.shape)}"
            raise ValueError(f"arm {name!r} must be bool [seeds, {len(labels)}], not {found}")
        used = case.generators
        if used is not None and case.kinds[name] == "expanded" and len(used) != len(answers):
            raise ValueError(
                f"generators must name one generator for each of the {len(answers)} seeds of arm {name!r}, not {used}"
            )
