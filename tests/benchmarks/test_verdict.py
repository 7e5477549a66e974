"""The verdict on a few simulated experiments: it is right as often as stated, and the check notices planted faults.

`growset bench verdict` is the large version. The simulation itself is tested too.
"""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

import numpy as np
import pytest

from benchmarks import verdict as bench
from benchmarks.parts.digit_networks import measure_coverage, train_networks
from benchmarks.parts.simulation import Simulation
from benchmarks.verdict import (
    NEAR,
    SD_SHARES,
    Design,
    Tally,
    describe,
    judge,
    judge_all,
    judge_group,
    list_designs,
    simulate_demo,
    summarise,
)
from ops.recipe.design import Metric
from ops.verdict import estimate
from ops.verdict.decision import decide
from ops.verdict.looks import find_tail
from ops.verdict.metric import score_answers, score_classes
from ops.verdict.records import Budget

NULL = Design("null", simulate_demo(NEAR, [0.007 * s for s in SD_SHARES]), repeats=250, seeds=(5,), images=(1000,))
# 250 verdicts: chance moves a coverage of 95 % by 2.7 points, a false alarm of 2.5 % by 2 points (95 %).
LEAST_COVERAGE, MOST_ALARMS = 0.92, 0.045


def run(design: Design) -> Tally:
    _, tallies = judge_group((0, design))
    [tally] = tallies.values()
    return tally


def test_under_the_null_false_alarms_are_rare_and_intervals_mostly_cover() -> None:
    found = summarise([run(NULL)])
    assert found["verdict_false_alarm_max"] <= MOST_ALARMS
    assert found["verdict_coverage_min"] >= LEAST_COVERAGE


def test_an_interval_without_the_seed_term_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(estimate.Side, "spread", (0.0, 0.0))
    assert summarise([run(NULL)])["verdict_coverage_min"] < LEAST_COVERAGE


def test_an_interval_without_the_image_term_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(estimate, "split_image_variance", lambda plus, minus: (np.array([1e-12]), np.array([999.0])))
    assert summarise([run(NULL)])["verdict_coverage_min"] < LEAST_COVERAGE


def test_a_rule_that_compares_with_the_picked_baseline_only_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    few = simulate_demo((-0.03, 0, 0, 0, -0.03, -0.03, 0), [0.002] * 7)
    design = Design("null", few, repeats=250, seeds=(5,), images=(1000,))
    rule = bench.apply_rule
    monkeypatch.setattr(bench, "apply_rule", lambda contrasts, picks, **given: rule(contrasts[:1], picks, **given))
    loose = run(design)
    monkeypatch.undo()
    strict = run(design)
    assert strict.helps < loose.helps
    assert strict.hurts <= loose.hurts


def test_another_generator_is_covered_only_where_generators_are_known() -> None:
    simulation = simulate_demo(NEAR, [0.002 * s for s in SD_SHARES], generator_sd=0.01)
    design = Design("null", simulation, repeats=100, seeds=(9,), images=(2000,), generators=3)
    _, tallies = judge_group((0, design))
    known, mistaken = tallies.values()
    assert known.is_measure and not mistaken.is_measure
    assert known.covered >= 90 > 87 >= mistaken.covered


def test_two_generators_are_judged_but_not_counted_because_recipes_may_not_have_them() -> None:
    designs = list_designs(1, 1)
    assert len({(d.name, d.metrics) for d in designs}) == len(designs)
    assert {d.generators for d in designs if d.is_refused} == {2}
    design = next(d for d in designs if d.is_refused)
    _, tallies = judge_group((0, replace(design, seeds=(5,), images=(500,))))
    assert [tally.is_measure for tally in tallies.values()] == [False]


@pytest.mark.slow
def test_intervals_cover_the_answers_of_real_networks_on_digits(monkeypatch: pytest.MonkeyPatch) -> None:
    answers, labels = train_networks(100)
    assert all(0.8 < right.mean() < 0.95 for right in answers.values())
    covered = measure_coverage(answers, labels, seeds=5, images=300, repeats=150)
    assert min(covered.values()) >= 0.92
    monkeypatch.setattr(estimate.Side, "spread", (0.0, 0.0))
    assert min(measure_coverage(answers, labels, seeds=5, images=300, repeats=150).values()) < 0.92


def test_a_gain_and_a_loss_are_found() -> None:
    sds = [0.002] * 7
    gain, loss = ((-0.05, -0.05, 0, -0.05, -0.05, -0.05, 0.06 * sign) for sign in (1, -1))
    found = [
        run(replace(NULL, simulation=simulate_demo(gaps, sds), is_null=False, repeats=40)) for gaps in (gain, loss)
    ]
    assert found[0].helps > 30 and found[0].hurts == 0
    assert found[1].hurts > 30 and found[1].helps == 0


@pytest.mark.parametrize("metric", get_args(Metric))
@pytest.mark.parametrize(("seeds", "generators"), [(5, 1), (5, 3)])
@pytest.mark.parametrize("looks", [1, 2])
def test_the_benchmark_judges_exactly_as_decide_does(metric: Metric, seeds: int, generators: int, looks: int) -> None:
    rng = np.random.default_rng(3)
    outcomes = set()
    for gaps in (NEAR, (-0.05, -0.05, 0, -0.05, -0.05, -0.05, 0.15), (-0.15, -0.15, 0, -0.15, -0.15, -0.15, -0.15)):
        simulation = simulate_demo(gaps, [0.005] * 7, generator_sd=0.002)
        design, names = replace(NULL, simulation=simulation, generators=generators), [a.name for a in simulation.arms]
        drawn = simulation.draw(rng, seeds=seeds * looks, images=2000, generators=generators)
        right, held_out = drawn.validation[:, :seeds], drawn.validation_labels  # the first look's seeds picked
        scores, rates = score_answers(right, held_out, metric), score_classes(right, held_out)
        for look in range(1, looks + 1):
            count = seeds * look
            judged = judge(design, drawn, count, 1500, metric, find_tail(look, looks, 0.95), picked_on=seeds)
            whole = decide(
                {name: drawn.test[a, :count, :1500] for a, name in enumerate(names)},
                {arm.name: arm.kind for arm in simulation.arms},
                dict(zip(names, scores.mean(axis=1).tolist(), strict=True)),
                drawn.labels[:1500],
                list("abcdefghij"),
                metric=metric,
                budget=Budget(1, 1),
                look=look,
                looks=looks,
                generators=[seed % generators for seed in range(count)],
                validation_images=len(held_out),
                validation_per_class=dict(zip(names, rates.mean(axis=1).tolist(), strict=True)),
            )
            gap = whole.contrasts[0].difference
            assert (judged.outcome, judged.width) == (whole.decision, gap.high - gap.low)
            outcomes.add(judged.outcome)
    assert len(outcomes) > 1


def test_both_looks_judge_the_arms_that_the_first_seeds_picked() -> None:
    simulation = simulate_demo((-0.03, 0, 0, 0, -0.03, -0.03, 0), [0.01] * 7)
    design = replace(NULL, simulation=simulation, seeds=(5, 10), looks=(5, 10))
    rng = np.random.default_rng(0)
    picked = set()
    for _ in range(10):
        drawn = simulation.draw(rng, seeds=10, images=1000)
        validation = drawn.validation.copy()
        validation[1, 5:] = True  # later seeds have no influence on the pick
        by_name = dict(judge_all(design, drawn)), dict(judge_all(design, replace(drawn, validation=validation)))
        name = "null, accuracy, 5 then 10 seeds, 1000 images"
        assert by_name[0][name] == by_name[1][name]
        picked.add(by_name[0][name.replace("5 then ", "")] == by_name[1][name.replace("5 then ", "")])
    assert False in picked  # with all ten seeds to pick, they are asked


def test_the_simulation_has_its_stated_scores_and_variances() -> None:
    simulation: Simulation = simulate_demo((0, -0.02, -0.05, 0, 0, 0, 0), [0.01] * 7, generator_sd=0.01)
    rng = np.random.default_rng(0)
    drawn = [simulation.draw(rng, seeds=4, images=3000, generators=4) for _ in range(60)]
    for metric in ("accuracy", "balanced_accuracy"):
        scores = np.array([score_answers(one.test, one.labels, metric) for one in drawn])  # [60, 7, 4]
        np.testing.assert_allclose(scores.mean(axis=(0, 2)), simulation.score(metric), atol=0.005)
    spread = np.sqrt(scores.var(axis=2, ddof=1).mean(axis=0))
    chance = 0.03 / 3000  # of single answers, measured on the demo's networks as well
    assert spread[0] == pytest.approx((0.01**2 + chance) ** 0.5, rel=0.15)
    assert spread[6] == pytest.approx((2 * 0.01**2 + chance) ** 0.5, rel=0.15)
    one = np.concatenate([d.test for d in drawn], axis=2)
    phi = np.corrcoef(one[[1, 1, 2, 0], [0, 1, 0, 0]])[0]
    assert phi[1] > phi[2] > phi[3] > 0.5  # of one arm, of arms that learn alike, of others


def test_rows_and_ratios_are_shares() -> None:
    tally = Tally(is_null=True, is_measure=True, judged=200, helps=3, hurts=5, covered=190, width=4.0)
    values = [row.value for row in describe("a", tally)]
    assert values == [1.5, 2.5, 95.0, 1.0]
    other = replace(tally, is_null=False, helps=180, covered=196)
    mistaken = replace(tally, is_measure=False, hurts=100, covered=10)
    assert summarise([tally, other, mistaken]) == {
        "verdict_false_alarm_max": 0.025, "verdict_coverage_min": 0.95, "verdict_coverage_max": 0.98,
    }  # fmt: skip


def test_the_check_against_a_reference_model_takes_decisions_away_and_never_adds_one() -> None:
    """Nothing is taken from baselines far above it, everything from baselines far below it."""
    gaps = (-0.03, -0.003, 0.0, -0.03, -0.01, 0.005, 0.04)
    kept = {}
    for gap in (-0.1, 0.1):
        simulation = simulate_demo(gaps, [0.002] * 7, reference=gap)
        design = Design("effect", simulation, is_null=False, repeats=40, seeds=(5,), images=(2000,))
        _, tallies = judge_group((0, design))
        alone, checked = tallies.values()
        assert alone.helps > 30 and (alone.covered, alone.width) == (checked.covered, checked.width)
        kept[gap] = (alone.helps, checked.helps)
    assert kept[-0.1][0] == kept[-0.1][1] and kept[0.1][1] == 0
