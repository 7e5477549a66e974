"""The verdict where the generator was not used: the arms without generated images on the test images, nothing compared.

There is no challenger and no difference, and the decision is `no evidence`. Scores have the same intervals as in every
verdict, and the picked baseline is checked against the reference model all the same. The module does not know why a
generator is not used.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from ops.recipe.design import LEAST_SEEDS, Metric
from ops.verdict.classes import score_groups
from ops.verdict.comparison import Comparison
from ops.verdict.decision import describe_arm
from ops.verdict.estimate import BoolArray, FloatArray, IntArray
from ops.verdict.picks import find_lowest, pick_best
from ops.verdict.records import Budget, ClassRow, Kind, Verdict
from ops.verdict.reference import ReferenceAnswers, compare_reference
from ops.verdict.sentence import write_sentence


def judge_baselines(
    correct: Mapping[str, BoolArray],
    validation: Mapping[str, float],
    labels: IntArray,
    class_names: Sequence[str],
    *,
    unused: str,
    metric: Metric,
    budget: Budget,
    aliases: Mapping[str, str],
    confidence: float,
    validation_per_class: Mapping[str, Sequence[float]],
    reference: ReferenceAnswers,
    units: IntArray | None = None,
    train_counts: Sequence[int] = (),
    confidences: Mapping[str, FloatArray] | None = None,
    costs: Mapping[str, float] | None = None,
    kinds: Mapping[str, Kind] | None = None,
) -> Verdict:
    """The verdict without a generator, which was not used because `unused`; the other inputs are those of `decide`.

    kinds: baselines and placebos, which are never picked; None: all are baselines.
    """
    kinds = kinds or dict.fromkeys(correct, "baseline")
    lowest = None
    if metric == "worst_class":
        lowest = {arm: find_lowest(validation_per_class[arm], labels) for arm in correct}
    comparison, tail = Comparison(correct, labels, lowest=lowest, units=units), (1.0 - confidence) / 2.0
    rows = {
        arm: describe_arm(
            comparison,
            arm,
            answers,
            kinds[arm],
            validation[arm],
            metric,
            tail=tail,
            confidence=(confidences or {}).get(arm),
            cost=(costs or {}).get(arm, 1.0),
        )
        for arm, answers in correct.items()
    }
    baseline = pick_best({arm: score for arm, score in validation.items() if kinds[arm] == "baseline"})
    rates = dict(zip(comparison.classes.tolist(), comparison.rate(baseline).tolist(), strict=True))
    images = np.bincount(labels, minlength=len(class_names)).tolist()
    verdict = Verdict(
        decision="no evidence",
        sentence="",
        metric=metric,
        confidence=confidence,
        look=1,
        looks=1,
        generators=0,
        budget=budget,
        challenger=None,
        baseline=baseline,
        chosen_on="validation",
        arms=[*rows.values(), *(replace(rows[arm], arm=alias, same_as=arm) for alias, arm in aliases.items())],
        contrasts=[],
        shares=[],
        per_class=[
            ClassRow(label, name, images[label], rates.get(label), None, None, False)
            for label, name in enumerate(class_names)
        ],
        size_groups=score_groups(comparison, list(correct), train_counts),
        worst_class=None,
        smallest_detectable_effect=None,
        seeds=min(map(len, correct.values())),
        least_seeds=LEAST_SEEDS,
        test_images=len(labels),
        test_groups=None if units is None else len(np.unique(units)),
        reference=compare_reference(
            reference, correct[baseline], labels, metric=metric, confidence=confidence, units=units
        ),
        unused=unused,
    )
    return replace(verdict, sentence=write_sentence(verdict))
