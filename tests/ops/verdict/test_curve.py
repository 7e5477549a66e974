"""The curve of accuracy against steps: its gains on known answers, its sentence, and equal compute in closed form."""

from __future__ import annotations

import numpy as np
import pytest

from ops.verdict.curve import (
    CurvePoint,
    compare_at_equal_compute,
    describe_curve,
    interpolate,
    list_lengths,
    trace_arm,
    write_sentence,
)


def make_points(arm: str, kind: str, scores: list[float], steps: int = 400, error: float = 0.004) -> list[CurvePoint]:
    """Scores after a quarter, half and all of the steps."""
    lengths = [steps // 4, steps // 2, steps]
    gains = [None, *np.diff(scores).tolist()]
    return [
        CurvePoint(arm, kind, length, score, {"0": score}, gain, None if gain is None else error)
        for length, score, gain in zip(lengths, scores, gains, strict=True)
    ]


BASELINE = make_points("mixup", "baseline", [0.86, 0.88, 0.889])
CHALLENGER = make_points("grown", "expanded", [0.84, 0.87, 0.891])


def test_an_arms_points_are_means_over_seeds_with_gains_of_paired_answers() -> None:
    labels = np.array([0, 0, 0, 1])
    short, long = np.array([[1, 0, 0, 1], [1, 1, 0, 0]], bool), np.array([[1, 1, 0, 1], [1, 1, 1, 1]], bool)
    answers = {20: dict(enumerate(long)), 10: dict(enumerate(short))}
    plain = trace_arm("a", "baseline", answers, labels, "accuracy")
    assert [(p.steps, p.validation) for p in plain] == [(10, 0.5), (20, pytest.approx(7 / 8))]
    assert plain[0].per_seed == {"0": 0.5, "1": 0.5} and plain[1].per_seed == {"0": 0.75, "1": 1.0}
    assert plain[0].gain is plain[0].gain_error is None
    changes = np.array([0.0, 0.5, 0.5, 0.5]) / 4  # of the mean credit of each image
    assert plain[1].gain == pytest.approx(changes.sum())
    assert plain[1].gain_error == pytest.approx(np.hypot(np.sqrt(4 * changes.var()), 0.5 / 4))  # one more image
    united = trace_arm("a", "baseline", answers, labels, "accuracy", np.array([0, 1, 1, 2]))
    assert united[1].gain_error == pytest.approx(np.hypot(np.sqrt(3 * np.array([0.0, 0.25, 0.125]).var()), 0.25))
    balanced = trace_arm("a", "baseline", answers, labels, "balanced_accuracy")
    assert balanced[0].validation == pytest.approx((3 / 6 + 1 / 2) / 2)


def test_an_arm_that_takes_no_steps_has_one_point_and_no_compute_to_be_equal_to() -> None:
    probe = [CurvePoint("probe", "baseline", 0, 0.9, {"0": 0.9}, None, None)]
    assert list_lengths(0) == []
    found = describe_curve(
        [*probe, *CHALLENGER], "accuracy", {"probe": 0.0, "grown": 1.0}, baseline="probe", challenger="grown"
    )
    assert found.equal_compute is None
    assert found.sentence.startswith("From 200 to 400 steps grown gained 2.1 points") and "probe" not in found.sentence
    assert write_sentence(probe) == "No arm that is compared takes steps."


def test_one_sentence_says_whether_training_still_gained() -> None:
    assert write_sentence([*BASELINE, *CHALLENGER]) == (
        "From 200 to 400 steps mixup gained 0.9 points (standard error 0.4) and grown gained 2.1 points"
        " (standard error 0.4) on validation: both still gain, so a longer training could change the verdict."
    )
    flat = make_points("grown", "expanded", [0.84, 0.87, 0.869], steps=800)
    assert write_sentence([*BASELINE, *flat]) == (
        "From 200 to 400 steps mixup gained 0.9 points (standard error 0.4), from 400 to 800 steps grown lost 0.1"
        " points (standard error 0.4) on validation: mixup still gains, so a longer training could change the verdict."
    )
    still = make_points("mixup", "baseline", [0.86, 0.88, 0.883])
    assert write_sentence([*still, *flat]).endswith(
        ": neither gains more than its standard error, so training has about stopped gaining."
    )
    assert write_sentence(BASELINE).endswith("on validation: it still gains.")
    assert write_sentence(BASELINE[2:]) == "So few steps have no shorter length to compare with."


def test_equal_compute_is_read_off_the_dearer_arms_curve_between_its_points() -> None:
    # 400 plain steps buy 400 / 2.5 = 160 steps of the dearer arm: log2(1.6) of the way from 100 to 200.
    said = compare_at_equal_compute([*BASELINE, *CHALLENGER], {"mixup": 1.0, "grown": 2.5}, "mixup", "grown")
    assert interpolate(CHALLENGER, 160) == pytest.approx(0.84 + 0.03 * np.log2(1.6))
    assert said == (
        "By evaluations of the network, training grown took 2.5 times the compute of mixup. With as much as mixup,"
        " grown would take 160 steps; its curve lies at 86.0 % on validation there, and grown 2.9 points below mixup."
        " mixup would take 1,000 steps for the compute of grown; so long it was not trained."
    )
    assert "and grown 1.1 points above mixup" in str(
        compare_at_equal_compute([*BASELINE, *CHALLENGER], {"mixup": 2.0, "grown": 1.0}, "mixup", "grown")
    )


def test_equal_compute_is_not_read_beyond_the_points_and_not_told_where_it_is_equal() -> None:
    points = [*BASELINE, *CHALLENGER]
    said = compare_at_equal_compute(points, {"mixup": 1.0, "grown": 5.0}, "mixup", "grown")
    assert said is not None and "%" not in said
    assert "grown would take 80 steps; the fewest that were measured are 100" in said
    assert compare_at_equal_compute(points, {"mixup": 1.0, "grown": 1.0}, "mixup", "grown") is None
    both = describe_curve(points, "accuracy", {"mixup": 2.0, "grown": 2.0}, baseline="mixup", challenger="grown")
    assert both.equal_compute is None and both.seeds == 1
    alone = describe_curve(BASELINE, "accuracy", {"mixup": 2.0}, baseline="mixup", challenger=None)
    assert alone.equal_compute is None and len(alone.to_dict()["points"]) == 3


def test_lengths_are_whole_numbers_of_steps_below_the_full_one() -> None:
    assert [list_lengths(steps) for steps in (1, 2, 3, 10, 24)] == [[], [1], [1], [2, 5], [6, 12]]
