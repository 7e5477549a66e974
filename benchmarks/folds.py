"""False alarms, coverage and power of a verdict over folds, with real learners on populations whose truth is known.

`fold_learners` draws images, divides them, trains every arm in every fold and lets it answer. Each experiment is judged
by the verdict's own picks, intervals and rule. The truth of an arm is its mean score on new images over all experiments
of a design: what its recipe is worth at this number of training images, for other images, training sets, generators and
seeds. Where all arms are equally good, every `helps` and every `hurts` is false.

Two other intervals for the decisive difference are measured on the same experiments: Nadeau and Bengio's alone, and one
that knows images and seeds but not that folds differ.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path

import numpy as np

from benchmarks.parts.fold_learners import FoldArm, Folded, Population
from benchmarks.parts.harness import Row, write_result
from ops.machine.parallel import available_cores, map_processes
from ops.recipe.design import Metric
from ops.verdict.comparison import Comparison
from ops.verdict.contrasts import contrast_arms
from ops.verdict.decision import apply_rule
from ops.verdict.estimate import find_critical
from ops.verdict.picks import set_up_comparison
from ops.verdict.records import Outcome

REPEATS, POWER_REPEATS = 400, 200
TAIL = 0.025
METHOD, CORRECTED, PLAIN = "verdict", "Nadeau and Bengio alone", "images and seeds alone"


@dataclass(frozen=True)
class FoldDesign:
    """is_null: all arms are equally good. is_refused: recipes may not have it; it is measured to show why."""

    name: str
    population: Population
    is_null: bool
    images: int
    folds: int
    seeds: int
    metric: Metric = "accuracy"
    is_refused: bool = False

    @property
    def title(self) -> str:
        return f"{self.name}, {self.images} images, {self.folds} folds of {self.seeds} seeds"


@dataclass(frozen=True)
class Judged:
    """One verdict: the pair that it compares, and the limits of each interval for their difference."""

    outcome: Outcome
    pair: tuple[str, str]
    limits: dict[str, tuple[float, float]]


@dataclass
class Tally:
    """The verdicts of a design, and every arm's accuracy on new images of each class, an entry for each experiment."""

    design: FoldDesign
    judged: list[Judged] = field(default_factory=list)
    true: list[np.ndarray] = field(default_factory=list)

    def share(self, outcome: Outcome) -> float:
        return sum(judged.outcome == outcome for judged in self.judged) / len(self.judged)

    def cover(self, interval: str) -> float:
        """Share of the intervals that hold the true difference of their pair."""
        truth = self.find_truth()
        held = 0
        for judged in self.judged:
            low, high = judged.limits[interval]
            held += bool(low <= truth[judged.pair[0]] - truth[judged.pair[1]] <= high)
        return held / len(self.judged)

    def measure_width(self, interval: str) -> float:
        """Half of the mean width."""
        return float(np.mean([judged.limits[interval][1] - judged.limits[interval][0] for judged in self.judged])) / 2

    def find_truth(self) -> dict[str, float]:
        """Each arm's true score; arms that learn in the same way share one."""
        arms, rates = self.design.population.arms, np.mean(self.true, axis=0)
        means = {
            "accuracy": rates @ self.design.population.class_shares,
            "balanced_accuracy": rates.mean(axis=1),
            "worst_class": rates.min(axis=1),
        }[self.design.metric]
        alike = [[(arm.drawn, arm.ridge, arm.hidden) == (a.drawn, a.ridge, a.hidden) for a in arms] for arm in arms]
        return {arm.name: float(means[same].mean()) for arm, same in zip(arms, alike, strict=True)}


def run(repeats: int = REPEATS, power_repeats: int = POWER_REPEATS) -> Path:
    """Judge all designs and write results/folds.json."""
    tasks = [
        (place, design, repeats if design.is_null else power_repeats) for place, design in enumerate(list_designs())
    ]
    found: dict[int, Tally] = {}
    for place, tally in map_processes(judge_design, tasks, workers=available_cores(), share={}, uses_torch=False):
        found[place] = tally
        print(f"{len(found)} of {len(tasks)} designs judged: {tally.design.title}", flush=True)
    tallies = [found[place] for place, *_ in tasks]
    rows = [row for tally in tallies for row in describe(tally)]
    return write_result("folds", rows, summarise(tallies), repeats=repeats, repeats_power=power_repeats)


def list_designs() -> list[FoldDesign]:
    """Designs without an effect, where arms see other features or the same; rivals that mislead the pick; effects."""
    one, other = FoldArm("real", "baseline", 0), FoldArm("expanded", "expanded", 1)
    same = FoldArm("expanded", "expanded", 0)
    few = Population([one, other])
    designs = [
        FoldDesign("arms that see other features", few, True, images, folds, seeds)
        for images, folds, seeds in product((120, 300, 1000), (3, 5, 10), (1, 2, 5))
        if folds * seeds >= 5
    ]
    designs += [
        FoldDesign("arms that see the same", Population([one, same]), True, images, folds, 5)
        for images, folds in product((120, 300, 1000), (3, 5, 10))
    ]
    designs += [FoldDesign("two folds", few, True, images, 2, 5, is_refused=True) for images in (120, 300, 1000)]
    baselines = [FoldArm(f"real {block}", "baseline", block) for block in range(3)]
    expanded = [FoldArm(f"expanded {block}", "expanded", block) for block in range(3, 6)]
    rivals = {
        "three baselines and one expanded arm": [*baselines, expanded[0]],
        "one baseline and three expanded arms": [baselines[0], *expanded],
    }
    for name, arms in rivals.items():
        designs += [FoldDesign(name, Population(arms), True, images, 5, 5) for images in (120, 300, 1000)]
    tailed = Population([one, other], share=0.2)
    for metric in ("balanced_accuracy", "worst_class"):
        designs += [FoldDesign(f"classes of 4 : 1, {metric}", tailed, True, n, 5, 5, metric) for n in (300, 1000)]
    mild = Population([one, other], share=0.25)
    designs += [FoldDesign("classes of 3 : 1, accuracy", mild, True, n, 5, 5) for n in (300, 1000)]
    for name, curve, drawn in (("a generator that helps", 0.2, 2.0), ("a generator that helps more", 0.8, 2.0)):
        grown = FoldArm("expanded", "expanded", 0, drawn=drawn, ridge=0.1)
        population = Population([FoldArm("real", "baseline", 0, ridge=0.1), grown], curve=curve)
        designs += [
            FoldDesign(name, population, False, images, folds, 5) for images, folds in product((300, 1000), (5, 10))
        ]
    strong = FoldArm("expanded", "expanded", 1, hidden=96)
    designs += [
        FoldDesign("an arm with four times the features", Population([one, strong]), False, images, folds, 5)
        for images, folds in product((300, 1000), (3, 5, 10))
    ]
    return designs


def judge_design(task: tuple[int, FoldDesign, int]) -> tuple[int, Tally]:
    """Draw and judge `repeats` experiments."""
    place, design, repeats = task
    rng, tally = np.random.default_rng([23, place]), Tally(design)
    for _ in range(repeats):
        drawn = design.population.draw(
            rng, images=design.images, folds=design.folds, seeds=design.seeds, metric=design.metric
        )
        tally.judged.append(judge(design, drawn))
        tally.true.append(drawn.true)
    return place, tally


def judge(design: FoldDesign, drawn: Folded) -> Judged:
    """The verdict on one experiment."""
    arms = design.population.arms
    answers = {arm.name: drawn.test[a] for a, arm in enumerate(arms)}
    setup = set_up_comparison(
        answers,
        {arm.name: arm.kind for arm in arms},
        dict(zip(answers, drawn.validation.tolist(), strict=True)),
        drawn.labels,
        metric=design.metric,
        validation_images=design.images,
        validation_per_class={arm.name: drawn.validation_per_class[a].tolist() for a, arm in enumerate(arms)},
        folds=drawn.folds,
    )
    contrasts = contrast_arms(setup, design.metric, tail=TAIL)
    pair = contrasts[0].arm, contrasts[0].against
    gap = contrasts[0].difference
    limits = {METHOD: (gap.low, gap.high)}
    if design.metric != "worst_class":
        scores = setup.comparison.differ_in_folds(*pair, design.metric)
        error = (scores.var(ddof=1) * (1 / design.folds + 1 / (design.folds - 1))) ** 0.5
        reach = find_critical(TAIL, design.folds - 1) * error
        limits[CORRECTED] = gap.estimate - reach, gap.estimate + reach
        plain = Comparison({arm: answers[arm] for arm in pair}, drawn.labels).differ(*pair, design.metric, tail=TAIL)
        limits[PLAIN] = plain.low, plain.high
    outcome = apply_rule(contrasts, setup.picks, trainings=design.folds * design.seeds)
    return Judged(outcome, pair, limits)


def describe(tally: Tally) -> list[Row]:
    """Shares in per cent of the simulated verdicts; half of the intervals' mean width in points."""
    name, kind = tally.design.title, "false " if tally.design.is_null else ""
    rows = [Row(f"{name}: {kind}{word}", round(100 * tally.share(word), 2), "%") for word in ("helps", "hurts")]
    for interval in tally.judged[0].limits:
        end = "" if interval == METHOD else f", {interval}"
        rows.append(Row(f"{name}: covered{end}", round(100 * tally.cover(interval), 2), "%"))
        rows.append(Row(f"{name}: half width{end}", round(100 * tally.measure_width(interval), 2), "points"))
    return rows


def summarise(tallies: Iterable[Tally]) -> dict[str, float]:
    """The largest share of false alarms of one kind, least and greatest coverage, over all designs that are allowed."""
    counted = [tally for tally in tallies if not tally.design.is_refused]
    kinds: Sequence[Outcome] = ("helps", "hurts")
    alarms = [tally.share(outcome) for tally in counted if tally.design.is_null for outcome in kinds]
    covered = [tally.cover(METHOD) for tally in counted]
    return {
        "folds_false_alarm_max": max(alarms),
        "folds_coverage_min": min(covered),
        "folds_coverage_max": max(covered),
        "folds_coverage_mean": float(np.mean(covered)),
    }
