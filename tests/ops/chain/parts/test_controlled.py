"""What the controller makes of a contest: who counts, what is shared among races, and that a plan foresees them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from ops.chain.parts import controlled
from ops.chain.parts.classifiers import BASELINES, EXPANDED
from ops.classifiers.examples import Examples
from ops.classifiers.racing import pack_bits
from ops.classifiers.runs import Contest, Result, Run
from ops.files.outputs import QUALITY
from ops.files.storage import write_json
from ops.planning.races import describe_races, list_races
from ops.recipe.arms import Arm
from ops.recipe.classifiers import ClassifierSettings
from ops.stages.materialization import Runtime
from ops.stages.several import place
from ops.tuning.control import race
from ops.tuning.control.decision import Decision
from ops.tuning.control.race import Halving, Side
from ops.tuning.control.start import Quality

SIMCLR: dict[str, Any] = {"trainer": {"kind": "simclr", "batch_size": 24}, "strength": "auto"}


def parse(arms: dict[str, dict[str, Any]]) -> dict[str, Arm]:
    return {name: Arm.model_validate(keys) for name, keys in arms.items()}


def test_images_without_labels_count_for_arms_alone_that_learn_from_them(monkeypatch: pytest.MonkeyPatch) -> None:
    examples = Examples(
        np.zeros((30, 1, 4, 4), np.uint8), np.where(np.arange(30) < 6, np.arange(30) % 2, -1), np.ones(30)
    )
    held = np.zeros((20, 1, 4, 4), np.uint8), np.arange(20) % 2
    settings, arms = ClassifierSettings(steps=800, seeds=5), parse({"simclr": SIMCLR, "gentle": {"strength": "auto"}})
    contest = Contest(arms, (examples,), 0, held, settings, "accuracy", 2, Path("unused"))
    monkeypatch.setattr(controlled, "hold_rounds", lambda side, *_, **__: Halving(side.choices[0], {}))
    run: Any = SimpleNamespace(stage=BASELINES, runtime=Runtime())
    logs = controlled.settle_automatic(run, contest).entries["controller"]
    assert {name: log["real"] for name, log in logs.items()} == {"simclr": 30, "gentle": 6}


def test_arms_share_the_real_images_and_the_quality_of_the_same_generated_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    arms = {name: {**SIMCLR, "real_weight": "auto"} for name in ("one", "two")}
    arms["few"] = {**arms["one"], "ratio": 0.5}
    images, labels = np.zeros((30, 1, 4, 4), np.uint8), np.arange(30) % 2
    marks = np.arange(30) >= 10
    turns = np.where(marks, np.arange(30) // 2 - 5, -1)
    mixed = Examples(images, labels, np.ones(30), marks, turns=turns)
    held = np.zeros((20, 1, 4, 4), np.uint8), np.arange(20) % 2
    settings = ClassifierSettings(steps=800, seeds=5)
    contest = Contest(parse(arms), (mixed,), 0, held, settings, "accuracy", 2, Path("unused"))
    read, measured, raced = list[Any](), list[int](), list[Any]()

    def read_real(inputs: Any) -> Examples:
        read.append(inputs)
        return Examples(images[:10], labels[:10], np.ones(10))

    def measure(accepted: Path, contest: Contest, examples: Examples, generated: np.ndarray) -> Quality:
        measured.append(int(generated.sum()))
        return Quality(variation=0.01 * measured[-1])

    def hold(side: Side, *_: Any, **__: Any) -> Halving:
        raced.append((side.images, len(side.contest.training[0].labels)))
        return Halving(side.choices[0], {})

    monkeypatch.setattr(controlled, "read_real", read_real)
    monkeypatch.setattr(controlled, "measure_quality", measure)
    monkeypatch.setattr(controlled, "hold_rounds", hold)
    monkeypatch.setattr(controlled, "let_decide", lambda *_, **__: Decision(0.5, 0.6, 0.1, 0.01, 0.05))
    run: Any = SimpleNamespace(stage=EXPANDED, runtime=Runtime(), inputs={"accepted_images": Path("accepted")})
    logs = controlled.settle_automatic(run, contest).entries["controller"]
    assert raced == [("real", 10), ("inflated", 30)] * 3 and len(read) == 1
    assert measured == [20, 4] and [log["generated"] for log in logs.values()] == [20, 20, 4]
    assert {name: log["quality"]["variation"] for name, log in logs.items()} == {"one": 0.2, "two": 0.2, "few": 0.04}


@pytest.mark.parametrize(("side", "many", "told"), [(8, 60, True), (8, 19, False), (7, 60, False)])
def test_quality_is_that_of_the_images_that_the_arm_learns_from(
    side: int, many: int, told: bool, tmp_path: Path
) -> None:
    """Noise is told from plain images where both are many and large; distances are read as they were measured."""
    rng, real = np.random.default_rng(0), 40
    plain, noise = np.full((2 * real, 1, side, side), 128, np.uint8), rng.integers(0, 256, (many, 1, side, side))
    images = np.concatenate([plain, noise]).astype(np.uint8)  # real ones, as many generated ones like them, and noise
    marks = np.arange(len(images)) >= real
    examples = Examples(images, np.zeros(len(images), np.int64), np.ones(len(images)), marks)
    held = plain[:24], np.arange(24) % 2
    contest = Contest({}, (examples,), 0, held, ClassifierSettings(), "accuracy", 2, Path("unused"))
    entries = [("FD_random", 3, 9.0, 8.0), ("FD_scorer", None, 5.0, 4.0), ("FD_random", None, 3.0, 2.0)]
    measures = [dict(zip(("name", "label", "value", "reference"), each, strict=True)) for each in entries]
    write_json(tmp_path / QUALITY, measures)
    alike, unlike = marks & (np.arange(len(images)) < 2 * real), np.arange(len(images)) >= 2 * real
    found = controlled.measure_quality(tmp_path, contest, examples, unlike)
    assert (found.frechet, found.reference) == (3.0, 2.0)
    assert (found.accuracy, found.variation > 0.5) == (1.0 if told else None, told)
    assert controlled.measure_quality(tmp_path, contest, examples, alike).variation == 0
    write_json(tmp_path / QUALITY, measures[:2])
    assert controlled.measure_quality(tmp_path, contest, examples, unlike).frechet is None


def test_a_generator_of_whose_images_the_arm_sees_none_does_not_stand_for_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """All that the first one drew was rejected, and is there for a teacher of another arm alone."""
    images, labels, marks = np.zeros((30, 1, 4, 4), np.uint8), np.arange(30) % 2, np.arange(30) >= 10
    second = Examples(images, labels, np.ones(30), marks)
    first = replace(second, only_relabelled=marks)
    held, arms = (np.zeros((20, 1, 4, 4), np.uint8), np.arange(20) % 2), parse({"y": {**SIMCLR, "real_weight": 5.0}})
    contest = Contest(arms, (first, second), 0, held, ClassifierSettings(), "accuracy", 2, Path("unused"))
    asked = list[Path]()
    monkeypatch.setattr(controlled, "measure_quality", lambda accepted, *_: (asked.append(accepted), Quality())[1])
    monkeypatch.setattr(controlled, "hold_rounds", lambda side, *_, **__: Halving(side.choices[0], {}))
    run: Any = SimpleNamespace(stage=EXPANDED, runtime=Runtime(), inputs={"accepted_images": Path("accepted")})
    log = controlled.settle_automatic(run, contest).entries["controller"]["y"]
    assert (log["real"], log["generated"]) == (10, 20) and asked == [place(Path("accepted"), 1)]


def test_equal_marks_of_two_generators_have_two_qualities(monkeypatch: pytest.MonkeyPatch) -> None:
    """An arm that relabels sees what the first one drew, another arm what the second one drew, at the same places."""
    images, labels, marks = np.zeros((30, 1, 4, 4), np.uint8), np.arange(30) % 2, np.arange(30) >= 10
    second = Examples(images, labels, np.ones(30), marks)
    training = replace(second, only_relabelled=marks), second
    relabelling = {
        "targets": {"kind": "teacher", "of": "hard", "relabel": True},
        "strength": "auto",
        "real_weight": 5.0,
    }
    arms = parse({"first": relabelling, "second": {**SIMCLR, "real_weight": 5.0}})
    held = np.zeros((20, 1, 4, 4), np.uint8), np.arange(20) % 2
    contest = Contest(arms, training, 0, held, ClassifierSettings(), "accuracy", 2, Path("unused"))
    measured = {place(Path("accepted"), number): Quality(variation=0.1 * number) for number in (0, 1)}
    monkeypatch.setattr(controlled, "measure_quality", lambda accepted, *_: measured[accepted])
    monkeypatch.setattr(controlled, "hold_rounds", lambda side, *_, **__: Halving(side.choices[0], {}))
    run: Any = SimpleNamespace(stage=EXPANDED, runtime=Runtime(), inputs={"accepted_images": Path("accepted")})
    logs = controlled.settle_automatic(run, contest).entries["controller"]
    assert {name: log["quality"]["variation"] for name, log in logs.items()} == {"first": 0.0, "second": 0.1}


RACING: dict[str, dict[str, Any]] = {
    BASELINES: {"real": {}, "a": {"strength": "auto"}, "b": {"strength": "auto", "pairing": "cutmix"}, "c": SIMCLR},
    EXPANDED: {
        "a1": {"strength": "auto", "real_weight": "auto"},
        "a2": {"strength": "auto", "real_weight": "auto", "ratio": 1.0},
        "a3": {"strength": 0.3, "real_weight": "auto"},
        "b1": {"strength": "auto", "real_weight": 3.0, "pairing": "cutmix"},
        "c1": {**SIMCLR, "real_weight": "auto"},
        "c2": {**SIMCLR, "real_weight": "auto"},
        "fixed": {"real_weight": 3.0},
    },
}


@pytest.mark.parametrize(("steps", "seeds"), [(800, 5), (600, 3)])
def test_the_races_are_those_that_a_plan_counts(steps: int, seeds: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every training of both stages once: equal names of real images alone stand for kept trainings."""
    settings, sides = ClassifierSettings(steps=steps, seeds=seeds), {side: parse(arms) for side, arms in RACING.items()}
    images, labels, marks = np.zeros((40, 1, 4, 4), np.uint8), np.arange(40) % 2, np.arange(40) >= 10
    mixed = Examples(images, labels, np.ones(40), marks, turns=np.where(marks, np.arange(40) // 2 - 5, -1))
    real = Examples(images[:10], labels[:10], np.ones(10))
    held = np.zeros((24, 1, 4, 4), np.uint8), np.arange(24) % 2
    made: dict[str, int] = {}

    def answer(contest: Contest, runs: Sequence[Run], *_: Any) -> dict[Run, Result]:
        made.update({run.file_name: contest.find_steps(run.setting) for run in runs})
        drawn = {run: np.random.default_rng(list(run.file_name.encode())).random(24) < 0.6 for run in runs}
        return {run: Result(run, 0.0, (), pack_bits(bits), (), {}, Path()) for run, bits in drawn.items()}

    monkeypatch.setattr(race, "train_runs", answer)
    monkeypatch.setattr(controlled, "read_real", lambda inputs: real)
    monkeypatch.setattr(controlled, "measure_quality", lambda *_: Quality())
    counted = list[tuple[int, int]]()
    for side, examples in ((BASELINES, real), (EXPANDED, mixed)):
        contest = Contest(sides[side], (examples,), 0, held, settings, "accuracy", 2, Path("unused"))
        run: Any = SimpleNamespace(stage=side, runtime=Runtime(), inputs={"accepted_images": Path("accepted")})
        controlled.settle_automatic(run, contest)
        phases = list_races(settings, sides[side], is_expanded=side == EXPANDED)
        counted += [(len(phase), steps) for phase in phases for _, steps in phase[:1]]
        assert sum(made.values()) == sum(trainings * steps for trainings, steps in counted)
        assert len(made) == sum(trainings for trainings, _ in counted)
    recipe: Any = SimpleNamespace(baselines=sides[BASELINES], expanded=sides[EXPANDED], classifier=settings)
    found = describe_races(recipe)
    assert found is not None and found["steps"] == sum(made.values())
