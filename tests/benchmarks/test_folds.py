"""Verdicts over folds on a few experiments: right as often as stated, and planted faults are noticed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmarks import folds as bench
from benchmarks.folds import METHOD, FoldDesign, Judged, Tally, describe, judge_design, list_designs, summarise
from benchmarks.parts.fold_learners import FoldArm, Population, divide
from ops.verdict import estimate

# Arms that see other features: on one set of training images they differ by more than images and seeds explain.
HARD = FoldDesign(
    "hard", Population([FoldArm("real", "baseline", 0), FoldArm("expanded", "expanded", 1)]), True, 120, 3, 8
)
# 300 verdicts: chance moves a coverage of 95 % by 2.5 points.
LEAST_COVERAGE = 0.92


def run(design: FoldDesign = HARD, repeats: int = 300) -> Tally:
    return judge_design((3, design, repeats))[1]


def test_intervals_cover_and_false_alarms_are_rare() -> None:
    found = summarise([run()])
    assert found["folds_coverage_min"] >= LEAST_COVERAGE
    assert found["folds_false_alarm_max"] <= 0.05


def test_intervals_that_do_not_know_of_folds_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(estimate, "OVERLAP", 0.0)
    monkeypatch.setattr(estimate, "score_folds", lambda plus, minus: np.zeros(3))
    assert run().cover(METHOD) < LEAST_COVERAGE


def test_a_clear_gain_is_found() -> None:
    strong = FoldArm("expanded", "expanded", 1, hidden=96)
    population = Population([FoldArm("real", "baseline", 0, hidden=4), strong], signal=2.0)
    tally = run(replace(HARD, population=population, images=600, is_null=False), 20)
    assert tally.share("helps") > 0.8 and tally.share("hurts") == 0
    truth = tally.find_truth()
    assert truth["expanded"] > truth["real"] + 0.05


def test_a_population_is_what_it_says() -> None:
    rng = np.random.default_rng(0)
    population = Population(HARD.population.arms, share=0.2, noise=0.1)
    x, labels = population.sample(rng, 20_000)
    assert labels.mean() == pytest.approx(population.class_shares[1], abs=0.01)
    assert x.shape == (20_000, 3 + 2 * 6)
    parts = divide(rng, labels, 7)
    counts = np.array([np.bincount(labels[parts == part], minlength=2) for part in range(7)])
    assert (counts.max(axis=0) - counts.min(axis=0) <= 1).all() and np.ptp(counts.sum(axis=1)) <= 1


def test_designs_differ_and_those_that_recipes_may_not_have_do_not_count() -> None:
    designs = list_designs()
    assert len({design.title for design in designs}) == len(designs)
    assert all((design.folds == 2) == design.is_refused for design in designs)
    arms = HARD.population.arms
    tally = Tally(HARD, [Judged("helps", ("expanded", "real"), {METHOD: (-0.1, 0.1)})] * 4, [np.ones((2, 2))] * 4)
    refused = Tally(replace(HARD, is_refused=True), [Judged("hurts", ("expanded", "real"), {METHOD: (0.1, 0.2)})], [])
    assert summarise([tally, refused]) == {
        "folds_false_alarm_max": 1.0, "folds_coverage_min": 1.0, "folds_coverage_max": 1.0, "folds_coverage_mean": 1.0,
    }  # fmt: skip
    assert [row.value for row in describe(tally)] == [100.0, 0.0, 100.0, 10.0]
    assert len(arms) == 2 and bench.TAIL == 0.025
