"""A verdict's comparisons with arms that see a prior's pool and with those that do not."""

from __future__ import annotations

import numpy as np

from ops.stages.seen import Seen
from ops.verdict.decision import decide
from ops.verdict.estimate import BoolArray
from ops.verdict.pool import compare_pool
from ops.verdict.records import Budget, Kind, Verdict

KINDS: dict[str, Kind] = {
    "real": "baseline", "mixup": "baseline", "fixmatch": "baseline", "probe": "baseline", "sham": "placebo",
    "expanded": "expanded",
}  # fmt: skip
VALIDATION = {"real": 0.7, "mixup": 0.75, "fixmatch": 0.85, "probe": 0.8, "sham": 0.9, "expanded": 0.82}
ACCURACIES = {"real": 0.70, "mixup": 0.74, "fixmatch": 0.86, "probe": 0.80, "sham": 0.75, "expanded": 0.82}


def answer(accuracy: float) -> BoolArray:
    return np.random.default_rng(0).random((5, 1000)) < accuracy


def judge() -> Verdict:
    correct = {arm: answer(accuracy) for arm, accuracy in ACCURACIES.items()}
    return decide(
        correct, KINDS, VALIDATION, np.arange(1000) % 4, list("abcd"), metric="accuracy", budget=Budget(100, 8)
    )


def test_the_best_of_either_group_is_picked_on_validation_and_no_placebo_is() -> None:
    verdict = judge()
    found = compare_pool(verdict, ["fixmatch", "probe", "left-out"])
    assert found is not None and found.seeing == ("fixmatch", "probe")
    assert (found.with_blind.against, found.with_seeing.against) == ("mixup", "fixmatch")
    for contrast in (found.with_blind, found.with_seeing):
        assert contrast in verdict.contrasts
    difference = answer(0.82).mean() - answer(0.86).mean()
    assert abs(found.with_seeing.difference.estimate - difference) < 1e-12
    assert found.sentence.startswith(" On the test images expanded is ")
    assert "points worse than fixmatch (" in found.sentence and "the best of those that saw the pool" in found.sentence
    assert "points better than mixup (" in found.sentence and found.sentence.endswith(
        ", the best of those that did not."
    )
    assert found.to_dict()["with_seeing"]["against"] == "fixmatch" and found.to_dict()["seeing"] == [
        "fixmatch",
        "probe",
    ]


def test_without_arms_that_see_the_pool_nothing_is_compared() -> None:
    assert compare_pool(judge(), []) is None
    only = compare_pool(judge(), ["real", "mixup", "fixmatch", "probe"])
    assert only is not None and only.with_blind is None and "did not" not in only.sentence


def test_who_saw_the_pool_is_disclosed() -> None:
    seen = Seen("flow", "others", 120, "CC0-1.0")
    told = seen.disclose(0, ["fixmatch", "probe"])
    assert "fixmatch and probe learnt from this pool too, and the others saw none of these." in told
    assert "that of the pool and the generator together" in seen.disclose(0) and "learnt from" not in seen.disclose(0)
