"""False alarm rate, coverage and power of the verdict, measured on simulated experiments whose truth is known.

`simulation` draws experiments modelled on the answers of the demo's networks. Each is judged by the verdict's own
picks, intervals and rule. Where the best expanded arm is exactly as good as the best baseline, every `helps` and every
`hurts` is false. An interval covers if the decisive difference's true value lies in it. In one experiment the first
seeds and the first images make the smaller designs, so designs of one group are not independent; each is valid by
itself.

Also measured: two looks at the same experiment (5 seeds, then 10), balanced accuracy and the worst class, and several
generators. The latter are compared with an interval that assumes a single generator, and with two generators, which a
recipe may not have. Designs with a reference model are judged without and with its check, on the same experiments.
Networks trained on digits need no model (`digit_networks`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.parts.digit_networks import measure_coverage, train_networks
from benchmarks.parts.harness import Row, write_result
from benchmarks.parts.simulation import Drawn, SimulatedArm, Simulation
from ops.machine.parallel import available_cores, map_processes
from ops.recipe.design import Metric, refuse_generators
from ops.stages.several import assign_generators
from ops.verdict.contrasts import contrast_arms
from ops.verdict.decision import apply_rule
from ops.verdict.looks import find_tail
from ops.verdict.metric import score_answers, score_classes
from ops.verdict.picks import set_up_comparison
from ops.verdict.records import Kind, Outcome
from ops.verdict.reference import ReferenceAnswers, compare_reference

REPEATS, POWER_REPEATS = 1000, 400
SEEDS, IMAGES, SEED_SDS = (3, 5, 10), (500, 2000, 10_000), (0.002, 0.007)
VALIDATION, DIGIT_IMAGES = 1000, (150, 400)
CONFIDENCE = 0.95
DEMO: tuple[tuple[str, Kind, int], ...] = (
    ("real", "baseline", 0),
    ("augmented", "baseline", 1),
    ("mixup", "baseline", 1),
    ("randaugment", "baseline", 2),
    ("expanded", "expanded", 0),
    ("expanded+augmented", "expanded", 1),
    ("expanded+mixup", "expanded", 1),
)
# Gaps of the arms to the best one, in accuracy. In NEAR and CLOSE_RIVALS the best expanded arm equals the best baseline
# exactly.
NEAR = (-0.03, -0.003, 0.0, -0.03, -0.02, -0.003, 0.0)
CLOSE_RIVALS = {
    "one expanded arm near four baselines": (0.0, 0.0, 0.0, 0.0, -0.03, -0.03, 0.0),
    "three expanded arms near one baseline": (-0.03, -0.03, 0.0, -0.03, 0.0, 0.0, 0.0),
}
EFFECTS = {
    "1 point better": (-0.03, -0.003, 0.0, -0.03, -0.01, 0.005, 0.01),
    "1 point worse": (-0.03, -0.003, 0.0, -0.03, -0.03, -0.013, -0.01),
}
# The arms' seeds vary by different amounts: shares of the largest.
SD_SHARES = (0.6, 0.9, 1.0, 0.8, 0.6, 0.8, 0.5)
LONG_TAIL = tuple(20.0 ** (-c / 9) for c in range(10))
# Number of generators, their standard deviation, and the arms.
GENERATORS = (
    (2, 0.003, "unequal arms"),
    (2, 0.008, "unequal arms"),
    (3, 0.003, "unequal arms"),
    (3, 0.008, "unequal arms"),
    (3, 0.008, "three expanded arms near one baseline"),
    (5, 0.003, "unequal arms"),
)
MISTAKEN = ", as if of one generator"
# Gaps of the reference model to the best baseline, in accuracy; it learns like none of the arms.
REFERENCE, CHECKED = "reference model", ", checked against the reference model"
REFERENCES = {"as good as": 0.0, "2 points below": -0.02, "5 points above": 0.05}


@dataclass(frozen=True)
class Design:
    """One group of designs. is_null: nothing helps and nothing hurts. looks: seeds at each of two looks, if any.

    is_refused: recipes may not have this design; it is measured to show why.
    """

    name: str
    simulation: Simulation
    is_null: bool = True
    repeats: int = REPEATS
    seeds: Sequence[int] = SEEDS
    images: Sequence[int] = IMAGES
    metrics: Sequence[Metric] = ("accuracy",)
    looks: Sequence[int] = ()
    generators: int = 1
    is_refused: bool = False

    @property
    def has_reference(self) -> bool:
        return any(arm.name == REFERENCE for arm in self.simulation.arms)


@dataclass(frozen=True)
class Judged:
    """The outcome of one simulated verdict, whether its decisive interval covers the truth, and its width."""

    outcome: Outcome
    covers: bool
    width: float


@dataclass
class Tally:
    """Counts over the verdicts of one design. is_measure: real verdicts are judged so, and the summary counts them."""

    is_null: bool
    is_measure: bool
    judged: int = 0
    helps: int = 0
    hurts: int = 0
    covered: int = 0
    width: float = 0.0

    def add(self, judged: Judged) -> None:
        self.judged += 1
        self.helps += judged.outcome == "helps"
        self.hurts += judged.outcome == "hurts"
        self.covered += judged.covers
        self.width += judged.width


def run(repeats: int = REPEATS, power_repeats: int = POWER_REPEATS) -> Path:
    """Judge all designs and write results/verdict.json."""
    designs = list_designs(repeats, power_repeats)
    found: dict[int, dict[str, Tally]] = {}
    tasks = list(enumerate(designs))
    for place, tallies in map_processes(judge_group, tasks, workers=available_cores(), share={}, uses_torch=False):
        found[place] = tallies
        print(f"{len(found)} of {len(designs)} groups of designs judged: {designs[place].name}", flush=True)
    tallies = {name: tally for place, _ in tasks for name, tally in found[place].items()}
    rows = [row for name, tally in tallies.items() for row in describe(name, tally)]
    answers, labels = train_networks()
    for seeds, images in product(SEEDS, DIGIT_IMAGES):
        for metric, share in measure_coverage(answers, labels, seeds=seeds, images=images, repeats=repeats).items():
            name = f"networks on digits, {metric}, {seeds} seeds, {images} images: covered"
            rows.append(Row(name, round(100 * share, 2), "%"))
    notes = {"repeats": repeats, "repeats_power": power_repeats, "confidence": CONFIDENCE, "validation": VALIDATION}
    return write_result("verdict", rows, summarise(tallies.values()), **notes)


def list_designs(repeats: int, power_repeats: int) -> list[Design]:
    """All groups of designs, with small and large variation between seeds."""
    some, large = (5, 10), (2000, 10_000)
    by_class: tuple[Metric, ...] = ("balanced_accuracy", "worst_class")
    designs: list[Design] = []
    for sd in SEED_SDS:
        unlike, end = [sd * share for share in SD_SHARES], f"seed sd {100 * sd:.1f}"

        def add(name: str, simulation: Simulation, repeats: int, *, end: str = end, **options: Any) -> None:
            designs.append(Design(f"{name}, {end}", simulation, repeats=repeats, **options))

        add("equal arms", simulate_demo((0.0,) * 7, [sd] * 7), repeats, looks=some)
        add("unequal arms", simulate_demo(NEAR, unlike), repeats, looks=some)
        for name, gaps in CLOSE_RIVALS.items():
            add(name, simulate_demo(gaps, unlike), repeats, seeds=some, images=large, looks=some)
            add(name, simulate_demo(gaps, unlike), repeats, seeds=some, images=(10_000,), metrics=by_class)
        for name, gaps in EFFECTS.items():
            add(name, simulate_demo(gaps, unlike), power_repeats, is_null=False, seeds=some, looks=some)
        tailed = simulate_demo(NEAR, unlike, shares=LONG_TAIL)
        add("long tail 20:1", tailed, repeats, seeds=some, images=(2000,), metrics=by_class)
        add("equal classes", simulate_demo(NEAR, unlike), repeats, seeds=some, images=(2000,), metrics=("worst_class",))
    for count, generator_sd, arms in GENERATORS:
        gaps = CLOSE_RIVALS.get(arms, NEAR)
        name = f"{count} generators of sd {100 * generator_sd:.1f}, {arms}, seed sd 0.4"
        simulation = simulate_demo(gaps, [0.004 * share for share in SD_SHARES], generator_sd=generator_sd)
        refused = refuse_generators(count, min(some)) is not None
        designs.append(Design(name, simulation, True, repeats, some, (10_000,), generators=count, is_refused=refused))
    for sd in SEED_SDS:
        add_reference(designs, "as good as", sd, {"no effect": NEAR, **EFFECTS}, repeats, power_repeats)
    for place in ("2 points below", "5 points above"):
        better = {name: gaps for name, gaps in EFFECTS.items() if name == "1 point better"}
        add_reference(designs, place, min(SEED_SDS), better, repeats, power_repeats)
    return designs


def add_reference(
    designs: list[Design],
    place: str,
    seed_sd: float,
    effects: Mapping[str, Sequence[float]],
    repeats: int,
    power_repeats: int,
) -> None:
    """Designs with a reference model at a `place` of REFERENCES, one for each of the effects."""
    for effect, gaps in effects.items():
        simulation = simulate_demo(gaps, [seed_sd * share for share in SD_SHARES], reference=REFERENCES[place])
        name = f"{effect}, reference model {place} the best baseline, seed sd {100 * seed_sd:.1f}"
        is_null = effect == "no effect"
        count = repeats if is_null else power_repeats
        designs.append(Design(name, simulation, is_null, count, (5, 10), (2000, 10_000)))


def simulate_demo(
    gaps: Sequence[float],
    seed_sds: Sequence[float],
    *,
    shares: Sequence[float] | None = None,
    generator_sd: float = 0.0,
    reference: float | None = None,
) -> Simulation:
    """The demo's four baselines and three expanded arms with these gaps to the best arm, in accuracy.

    reference: the gap of a reference model to the best baseline; it has no seeds.
    """
    arms = [
        SimulatedArm(name, kind, family, gap, sd)
        for (name, kind, family), gap, sd in zip(DEMO, gaps, seed_sds, strict=True)
    ]
    if reference is not None:
        arms.append(SimulatedArm(REFERENCE, "baseline", 1 + max(arm.family for arm in arms), reference, 0.0))
    return Simulation(arms, shares, generator_sd)


def judge_group(task: tuple[int, Design]) -> tuple[int, dict[str, Tally]]:
    """Draw and judge all repeats of a group; a tally per design."""
    place, design = task
    tallies: dict[str, Tally] = {}
    rng = np.random.default_rng([17, place])
    for _ in range(design.repeats):
        drawn = design.simulation.draw(
            rng, seeds=max(design.seeds), images=max(design.images), validation=VALIDATION, generators=design.generators
        )
        for name, judged in judge_all(design, drawn):
            is_measure = not design.is_refused and not name.endswith(MISTAKEN)
            tallies.setdefault(name, Tally(design.is_null, is_measure)).add(judged)
    return place, tallies


def judge_all(design: Design, drawn: Drawn) -> Iterable[tuple[str, Judged]]:
    """Every design of the group on one experiment, by name."""
    single = find_tail(1, 1, CONFIDENCE)
    for images in design.images:
        for metric in design.metrics:
            looked = []
            for seeds in design.seeds:
                name = f"{design.name}, {metric}, {seeds} seeds, {images} images"
                yield name, judge(design, drawn, seeds, images, metric, single)
                if design.has_reference:
                    yield name + CHECKED, judge(design, drawn, seeds, images, metric, single, check_reference=True)
                if seeds in design.looks:
                    tail = find_tail(1 + design.looks.index(seeds), 2, CONFIDENCE)
                    looked.append(judge(design, drawn, seeds, images, metric, tail, picked_on=min(design.looks)))
                if design.generators > 1 and not design.is_refused:
                    mistaken = judge(design, drawn, seeds, images, metric, single, know_generators=False)
                    yield name + MISTAKEN, mistaken
            if looked:
                first, second = looked
                last = second if first.outcome == "no evidence" else first
                name = f"{design.name}, {metric}, {' then '.join(map(str, design.looks))} seeds, {images} images"
                yield name, Judged(last.outcome, first.covers and second.covers, last.width)


def judge(
    design: Design,
    drawn: Drawn,
    seeds: int,
    images: int,
    metric: Metric,
    tail: float,
    *,
    picked_on: int | None = None,
    know_generators: bool = True,
    check_reference: bool = False,
) -> Judged:
    """The verdict on the first seeds and images of an experiment, without the other contents of `decide`.

    picked_on: how many of the first seeds validation used for the pick; None for all judged seeds. check_reference:
    whether the picked baseline must reach the reference model.
    """
    arms, held_out, labels = design.simulation.arms, drawn.validation_labels, drawn.labels[:images]
    answers = {arm.name: drawn.test[a, :seeds, :images] for a, arm in enumerate(arms) if arm.name != REFERENCE}
    validated = {
        arm.name: drawn.validation[a, : picked_on or seeds] for a, arm in enumerate(arms) if arm.name in answers
    }
    setup = set_up_comparison(
        answers,
        {arm.name: arm.kind for arm in arms},
        {arm: float(score_answers(right, held_out, metric).mean()) for arm, right in validated.items()},
        labels,
        metric=metric,
        generators=assign_generators(seeds, design.generators) if know_generators else None,
        validation_images=len(held_out),
        validation_per_class={a: score_classes(right, held_out).mean(axis=0) for a, right in validated.items()},
    )
    contrasts, picks = contrast_arms(setup, metric, tail=tail), setup.picks
    truth = dict(zip((arm.name for arm in arms), design.simulation.score(metric), strict=True))
    has_learnt = True
    if check_reference:
        (place,) = (a for a, arm in enumerate(arms) if arm.name == REFERENCE)
        reference = ReferenceAnswers(REFERENCE, drawn.test[place, 0, :images], 0.0)
        row = compare_reference(reference, answers[picks.baseline], labels, metric=metric, confidence=CONFIDENCE)
        has_learnt = row.shortfall is None
    gap = contrasts[0].difference
    covers = bool(gap.low <= truth[picks.challenger] - truth[picks.baseline] <= gap.high)
    return Judged(apply_rule(contrasts, picks, trainings=seeds, has_learnt=has_learnt), covers, gap.high - gap.low)


def describe(name: str, tally: Tally) -> list[Row]:
    """Shares in per cent of the simulated verdicts; half of the interval's mean width in points."""
    share = 100.0 / tally.judged
    kind = "false " if tally.is_null else ""
    return [
        Row(f"{name}: {kind}helps", round(share * tally.helps, 2), "%"),
        Row(f"{name}: {kind}hurts", round(share * tally.hurts, 2), "%"),
        Row(f"{name}: covered", round(share * tally.covered, 2), "%"),
        Row(f"{name}: half width", round(share * tally.width / 2, 3), "points"),
    ]


def summarise(tallies: Iterable[Tally]) -> dict[str, float]:
    """The largest share of false alarms of one kind, and the least and the greatest coverage, over all designs."""
    measures = [tally for tally in tallies if tally.is_measure]
    alarms = [count / tally.judged for tally in measures if tally.is_null for count in (tally.helps, tally.hurts)]
    covered = [tally.covered / tally.judged for tally in measures]
    return {
        "verdict_false_alarm_max": max(alarms),
        "verdict_coverage_min": min(covered),
        "verdict_coverage_max": max(covered),
    }
