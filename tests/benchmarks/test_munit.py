"""The benchmark of `kind: munit`: sides that work and draw alike, moments that count, parts that are kept."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from benchmarks import munit
from benchmarks.munit import Found, count_parameters, describe_usable, measure_steps, measure_variants, run, write
from benchmarks.parts import fashion, harness
from benchmarks.parts.harness import Row
from benchmarks.parts.munit_sides import (
    CODED,
    EAGER,
    EAGER_BF16,
    ONNX,
    Engine,
    make_feeds,
    make_untrained,
    open_engines,
)
from benchmarks.parts.stepping import Steps
from benchmarks.parts.usable_munit import (
    GENERATOR,
    LAST,
    SCORER,
    Moment,
    Stopwatch,
    Usable,
    list_moments,
    train_until_usable,
)
from benchmarks.sources.drawn import Drawn, Labelled
from ops.errors import UserError
from ops.files.storage import read_json
from ops.generators.protocol import Sample
from ops.recipe.munit import MunitSettings
from ops.training.state import Observation

TINY = MunitSettings(width=8, blocks=1, batch_size=2)
SMALL = (1, 16, 16)


def test_a_training_ends_where_it_is_even_before_its_first_step() -> None:
    taken: list[int] = []

    def train(on_step: Callable[[int, float], None]) -> None:
        for step in range(1, 10):
            taken.append(step)
            on_step(step, 0.0)

    for count in (0, 2):
        taken.clear()
        steps = Steps(train)
        for _ in range(count):
            steps.take()
        steps.end()
        assert taken == list(range(1, count + 1)) and not steps.thread.is_alive() and steps.fault is None


def test_every_side_takes_its_steps_and_an_image_s_ratio_follows_from_the_step_s() -> None:
    found = measure_steps([TINY], shape=SMALL, rounds=1)
    assert all(row.value is not None and row.value > 0 for row in found.rows)
    assert found.ratios and all(ratio > 0 for ratio in found.ratios.values())
    for name, ratio in found.ratios.items():
        if name.startswith("munit_step_vs_published"):
            halves = 2.0 if "1 branch" in name else 1.0  # it varies half as many images in a step
            assert found.ratios[name.replace("step", "image")] == pytest.approx(ratio / halves)
    assert {"1 branch, fp32", "2 branches, fp32"} <= {name.partition("ours, ")[2] for name in found.ratios}
    assert found.notes["batch_size"] == 2


def test_the_sides_have_equal_sizes_at_the_benchmark_s_images() -> None:
    for settings in munit.SIZES:
        counts = count_parameters(settings, munit.SHAPE)
        assert counts["published"] == counts["ours, 2 branches"] == 2 * counts["ours, 1 branch"]
    assert [settings.width for settings in munit.SIZES] == [32, 64]


@pytest.fixture(scope="module")
def engines(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Engine]:
    torch.manual_seed(0)
    return open_engines(make_untrained(TINY, SMALL), tmp_path_factory.mktemp("engines"))


def test_all_engines_draw_the_same_variants(engines: dict[str, Engine]) -> None:
    feeds = make_feeds(SMALL, 3, 4)
    assert [np.array_equal(feeds["image"][0], image) for image in feeds["image"]] == [True] * 4 + [False] * 8
    drawn = {name: engine(feeds).astype(int) for name, engine in engines.items()}
    assert drawn[EAGER].shape == (12, 16, 16, 1) and drawn[EAGER].std() > 5
    for name in (ONNX, CODED):
        assert np.abs(drawn[name] - drawn[EAGER]).max() <= 1, name
    if EAGER_BF16 in drawn:
        assert np.abs(drawn[EAGER_BF16] - drawn[EAGER]).mean() < 2


def test_variants_have_rates_and_ratios(engines: dict[str, Engine], monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[int] = []

    def note(engine: Engine) -> Engine:
        def draw(feeds: Any) -> np.ndarray:
            drawn.append(len(np.unique(feeds["image"], axis=0)))
            return engine(feeds)

        return draw

    noted = {name: note(engine) for name, engine in engines.items()}
    monkeypatch.setattr(munit, "open_engines", lambda generator, folder: noted)
    found = measure_variants(TINY, shape=SMALL, seeds=2, each=3, rounds=1)
    assert len(found.rows) == len(engines) + 1
    assert all(row.value is not None and row.value > 0 for row in found.rows)
    assert found.ratios and all(ratio > 0 for ratio in found.ratios.values())
    assert drawn == 2 * ([2] * len(engines) + [6])  # of the last side every variant has a seed image of its own


def make_usable(*checkpoints: tuple[bool, float | None], needed: float | None = 0.55) -> Usable:
    moments = [
        Moment(10 * (i + 1), 0.5 * (i + 1), passed, 3.0 * i, None, place)
        for i, (passed, place) in enumerate(checkpoints)
    ]
    return Usable(tuple(moments), 30, needed, {SCORER: 60.0, GENERATOR: 120.0, LAST: 30.0}, 2, 4, 0.7, "a sentence")


GATE = "usable: training until a checkpoint passes the gate"
NEAR = "usable: training until a checkpoint passes and lies near enough to real images"


def test_the_first_checkpoint_counts_that_passes_and_the_first_that_the_chain_would_use() -> None:
    found = describe_usable(make_usable((False, 0.9), (True, 0.5), (True, 0.6)))
    values = {row.name: (row.value, row.unit) for row in found.rows}
    assert values[GATE][0] == 1.0 and values[f"{GATE}, steps"] == (20, "of 30")
    assert values[NEAR][0] == 1.5 and values[f"{NEAR}, steps"] == (30, "of 30")
    assert values["usable: the whole training"][0] == 2.0
    assert values["usable: classes that get variants of the exported generator"] == (2, "of 4")
    assert values["usable: its way from empty to real images"] == (0.7, "share, 0.55 needed")
    assert found.ratios == {"munit_minutes_until_gate": 1.0, "munit_minutes_until_usable": 1.5}
    assert [moment["passed"] for moment in found.notes["moments"]] == [False, True, True]


@pytest.mark.parametrize(("position", "needed"), [(None, 0.55), (0.1, None)])
def test_a_position_that_is_not_known_or_not_asked_for_refuses_nothing(
    position: float | None, needed: float | None
) -> None:
    found = make_usable((True, position), needed=needed)
    assert found.first_usable == found.first_passed == found.moments[0]


def test_that_no_checkpoint_passes_is_said() -> None:
    found = describe_usable(make_usable((False, 0.9), (False, 0.9)))
    values = {row.name: (row.value, row.unit) for row in found.rows}
    assert values[GATE] == values[NEAR] == (None, "no checkpoint of 2 does within 30 steps")
    assert not found.ratios and f"{GATE}, steps" not in values


def test_moments_have_the_time_of_the_answer_and_the_figures_of_the_curve() -> None:
    seconds = iter([100.0, 160.0])

    class Watch:
        def observe(self, step: int, sample: Sample) -> Observation:
            return Observation(usable=step == 8)

    watch = Stopwatch(Watch(), clock=lambda: next(seconds))
    assert [watch.observe(step, lambda feeds: torch.zeros(1)).usable for step in (4, 8)] == [False, True]
    curve = [
        {"step": 4, "moved": 1.0, "kept": 0.95, "position": 0.2},
        {"step": 8, "moved": 6.0, "kept": None, "position": None},
    ]
    assert list_moments(watch.noted, curve, 40.0) == [
        Moment(4, 1.0, False, 1.0, 0.95, 0.2),
        Moment(8, 2.0, True, 6.0, None, None),
    ]
    with pytest.raises(ValueError, match="no variants were judged at step 8"):
        list_moments(watch.noted, curve[:1], 40.0)


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for module in (harness, munit):
        monkeypatch.setattr(module, "RESULTS", tmp_path)
    return tmp_path


def test_a_part_replaces_its_own_results_and_keeps_the_others(results: Path) -> None:
    write("usable", Found([Row("usable: x", None, "none")], {}))
    write("steps", Found([Row("steps: x", 1.0, "ms")], {"step": 2.0}, {"rounds": 1}))
    found = read_json(write("steps", Found([Row("steps: x", 3.0, "ms")], {"step": 4.0}, {"rounds": 2})))
    assert [(row["name"], row["value"]) for row in found["rows"]] == [
        ("steps: x", 3.0),
        ("usable: x", None),
        ("on a GPU", None),
    ]
    assert found["ratios"] == {"step": 4.0}
    assert found["parts"]["steps"]["rounds"] == 2 and list(found["parts"]) == ["steps", "usable"]


def test_a_run_measures_the_parts_that_are_named(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(munit, "measure_variants", lambda: Found([Row("variants: x", 1.0, "images/s")], {}))
    monkeypatch.setattr(munit, "measure_steps", lambda: pytest.fail("it was not asked for"))
    assert list(read_json(run(["variants"]))["parts"]) == ["variants"]


def test_mistakes_are_found_before_anything_is_measured(
    results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(munit, "measure_steps", lambda: pytest.fail("measured"))
    with pytest.raises(UserError, match="there is no part 'step'; did you mean 'steps'?"):
        run(["steps", "step"])
    monkeypatch.setenv(fashion.VARIABLE, str(tmp_path))
    with pytest.raises(UserError, match="dataset-fashion-mnist"):
        run()


@pytest.mark.slow
def test_the_chain_s_stages_tell_when_the_gate_was_passed(tmp_path: Path) -> None:
    """Classes are a bright left or right half, on a background of noise. After few steps nothing is promised but what
    was stored."""
    rng = np.random.default_rng(0)

    def draw(count: int) -> Labelled:
        labels = np.arange(count) % 2
        images = rng.integers(0, 60, (count, 16, 16, 1), np.uint8)
        for image, label in zip(images, labels, strict=True):
            image[:, 8 * label : 8 * label + 8] += 180
        return Labelled(images, labels)

    drawn = Drawn(("left", "right"), {"train": draw(48), "validation": draw(24), "test": draw(8)})
    recipe = {
        "scorer": {"folds": 2, "steps": 40, "batch_size": 16, "width": 8},
        "generator": {
            "kind": "munit", "width": 8, "blocks": 1, "steps": 8, "batch_size": 4, "warmup_steps": 2, "ema_decay": 0.5,
            "checkpoints": 2, "max_copies": 1.0,
        },
        "sampler": {"usable_from": None, "moves": 0.0, "keeps": None},
    }  # fmt: skip
    lines: list[str] = []
    found = train_until_usable(drawn, recipe, tmp_path, lines.append)
    assert [moment.step for moment in found.moments] == [4, 8] and found.steps == 8
    minutes = [moment.minutes for moment in found.moments]
    assert 0 < minutes[0] < minutes[1] < found.stages[GENERATOR] / 60 + 1e-3
    refused = [line for line in lines if "this checkpoint is not kept" in line]
    assert len(refused) == sum(not moment.passed for moment in found.moments)
    for moment in found.moments:  # the limits of a checkpoint are the defaults
        kept = moment.kept is None or moment.kept >= 0.9
        assert moment.passed == (moment.moved >= 2.0 and kept)
    assert all(moment.position is not None and math.isfinite(moment.position) for moment in found.moments)
    assert found.needed is None and found.position is not None
    assert (found.used, found.classes) == (2, 2) and "the variants of 2 classes are used" in found.sentence
    assert {row.name: row.value for row in describe_usable(found).rows}["usable: the scorer"] is not None
