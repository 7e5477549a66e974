"""A study whose images have no labels: how they are drawn, what is refused, and arms that leave settings to the
controller, from the race to the page."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest

from ops.chain.parts import controlled as races
from ops.chain.parts.controlled import Known, Settled
from ops.classifiers.examples import Examples
from ops.classifiers.runs import Contest
from ops.datasets.pixels import read_split
from ops.datasets.unlabelled import find_growing
from ops.errors import UserError
from ops.recipe.arms import Arm
from ops.recipe.automatic import leave_out_generated, settle_arm
from ops.recipe.classifiers import ClassifierSettings
from ops.recipe.counterparts import simplify
from ops.sources.reading import read_source
from ops.sources.spec import load_source_spec
from ops.stages.materialization import Runtime, StageRun
from ops.study import budget, controlled
from ops.study.bench import Bench, open_bench
from ops.study.block import _Work
from ops.study.controlled import Decided, describe
from ops.study.design import Study
from ops.study.measure_names import DECIDED
from ops.study.page import write_page
from ops.study.pool import SOURCE
from ops.study.results import Row, add_rows, find_missing, read_results
from ops.study.running import run_study
from ops.study.unlabelled import draw_evenly, name_drawn, put_unlabelled
from ops.workspaces.workspace import Workspace
from tests.recipes import refused
from tests.studies import Content, write_study
from tests.workspaces import one_core

TRAINER = {"kind": "simclr", "batch_size": 12}
LABELS = np.repeat([0, 1, 2], [5, 9, 7])
NAMES = ("a", "b", "c")


@pytest.fixture
def hidden(content: Content) -> Content:
    """24 images, of which 10 of each class are labelled; two fixed arms and two that say auto."""
    part = content["parts"]["small"]
    part["images"] = {"source": "digits", "evaluation": 6, "validation": 10, "unlabelled": 24}
    part["set"] |= {
        "data.images_per_class": 10,
        "plan": {"ratio": 1.0, "overdraw": 1.0, "rounds": 1},
        "filter.atypical": None,
        "generator.steps": 2,
    }
    part["settings"], part["steps"], part["seeds"] = {"24": {}}, [14], [0]
    part["baselines"] = {"plain": {}, "simclr": {"trainer": TRAINER}}
    part["baselines"]["simclr-auto"] = {"trainer": TRAINER, "strength": "auto"}
    part["expanded"] = {
        "inflated": {"trainer": TRAINER, "real_weight": 1.0},
        "adainf-auto": {"trainer": TRAINER, "strength": "auto", "real_weight": "auto"},
    }
    part["networks"], part["ensembles"] = {}, {}
    part["measures"] = ["accuracy", "alignment", "uniformity", "relative_confusion"]
    part["quick"] = {"settings": ["24"], "steps": 14, "set": {"images.unlabelled": 20}}
    return content


def open_small(main: Workspace, content: Content, *, quick: bool = False) -> Bench:
    study = write_study(main, content)
    return open_bench(study, "small", main, main.root / "area", Runtime(workers=1), quick=quick)


def begin(bench: Bench, setting: str, seed: int = 0) -> _Work:
    block = next(each for each in bench.blocks if (each.setting, each.seed) == (setting, seed))
    return _Work(bench, block, bench.build_recipe(block))


def test_a_draw_is_even_part_of_a_larger_one_and_another_for_another_seed() -> None:
    few, many, other = (draw_evenly(LABELS, NAMES, size, [0, 1, 2], seed) for size, seed in ((7, 0), (15, 0), (7, 1)))
    assert np.bincount(LABELS[few]).tolist() == [3, 2, 2] and np.bincount(LABELS[many]).tolist() == [5, 5, 5]
    assert set(few) < set(many) and set(few) != set(other) and few.tolist() == sorted(set(few))
    assert draw_evenly(LABELS, NAMES, "all", [0, 2], 0).tolist() == [*range(5), *range(14, 21)]
    with pytest.raises(UserError, match=r"images\.unlabelled is 18, so 6 of class a, and 5 are left"):
        draw_evenly(LABELS, NAMES, 18, [0, 1, 2], 0)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"images": {"unlabelled": 0}}, "0 is no size of a pool"),
        ({"set": {"images.unlabelled": "some"}}, "setting '24': images.unlabelled: 'some' is no size of a pool"),
        ({"set": {"data.unlabelled": "x"}}, "the images without labels of a study are images.unlabelled"),
        ({"set": {"data": {"unlabelled": "x"}}}, "a change of data.unlabelled has no effect"),
        ({"set": {"data.nuisance": "strokes"}}, "data.nuisance has no effect with data.unlabelled"),
        ({"expanded": {"grown": {}}}, "the arm 'grown' under expanded learns from labels"),
        (
            {"baselines": {"simclr-auto": {"trainer": TRAINER}}},
            "auto of the arm 'adainf-auto' needs the same arm under",
        ),
        ({"quick": {"steps": 5}}, "quick: auto of the arm 'simclr-auto', with steps: 5: 2 trainings of 5 steps leave"),
    ],
)
def test_a_mistake_is_one_sentence(
    write: Callable[[Content], Study], hidden: Content, changes: dict[str, Any], sentence: str
) -> None:
    for section, values in changes.items():
        hidden["parts"]["small"][section] |= values
    with refused(sentence):
        write(hidden)


def test_a_recipe_that_names_images_without_labels_needs_the_studys_own(
    main: Workspace, write: Callable[[Content], Study], hidden: Content
) -> None:
    path = main.recipe_path("digits")
    path.write_text(path.read_text().replace("data: {", "data: {unlabelled: digits, "))
    write(hidden)
    hidden["parts"]["small"]["images"]["unlabelled"] = None
    with refused(
        "the recipe expands images without labels, and a study takes them from its own; add images.unlabelled"
    ):
        write(hidden)


def test_a_setting_that_no_image_can_fill_is_refused(main: Workspace, hidden: Content) -> None:
    part = hidden["parts"]["small"]
    for key, value, sentence in (
        ("images.unlabelled", 400, "images.unlabelled is 400, so 200 of class zero, and"),
        ("images.unlabelled", 18, "class zero is to have 10 training images, and 9 are among those that are expanded"),
        ("data.images_per_class", 9, "setting '24': auto of the arm 'simclr-auto' is chosen on validation images, of"),
    ):
        part["settings"]["24"] = {key: value}
        with pytest.raises(UserError, match=f"setting '24': .*{sentence.removeprefix(chr(39))}|{sentence}"):
            open_small(main, hidden)


def test_the_images_of_a_block_are_hidden_training_images_and_some_have_a_label(
    main: Workspace, hidden: Content
) -> None:
    part = hidden["parts"]["small"]
    part["seeds"], part["settings"] = [0, 1], {"24": {}, "all": {"images.unlabelled": "all"}, "none": {}}
    bench = open_small(main, hidden)
    everything = read_source(load_source_spec(bench.own.source_path(SOURCE))).splits
    grown, known = dict[tuple[str, int], set[str]](), dict[tuple[str, int], set[str]]()
    for setting, seed in (("24", 0), ("24", 1), ("all", 0)):
        work = begin(bench, setting, seed)
        found = read_split(find_growing(work.real_images), "train")
        labelled = read_split(work.real_images, "train")
        grown[setting, seed] = set(found.rows["image_id"])
        known[setting, seed] = set(labelled.rows["image_id"])
        assert Counter(labelled.labels.tolist()) == {0: 10, 1: 10} and work.train_counts == [10, 10]
        assert set(labelled.rows["image_id"]) < grown[setting, seed] and set(found.labels.tolist()) == {0}
        assert (work.real.labels < 0).sum() == len(grown[setting, seed]) - 20
        assert work.evaluation.rows["image_id"].to_list() == everything["test"].rows["image_id"].to_list()
        assert len(work.validation[1]) == 20
    assert len(grown["24", 0]) == len(grown["24", 1]) == 24 and grown["24", 0] != grown["24", 1]
    assert grown["24", 0] < grown["all", 0] == set(everything["train"].rows["image_id"])
    assert known["24", 0] == known["all", 0] != known["24", 1], "settings differ in the hidden images alone"


def test_fewer_labelled_images_are_part_of_more_however_many_are_hidden() -> None:
    def draw(size: int | str, each: int | None) -> set[int]:
        return set(draw_evenly(np.repeat([0, 1], 300), ("a", "b"), size, [0, 1], 0, each=each).tolist())

    assert draw(100, 50) == draw(100, None) and len(draw(100, 10)) == 20
    assert draw(100, 10) == draw(400, 10) == draw("all", 10) < draw(100, 20) == draw(400, 20) < draw(400, None)


def test_all_images_are_stored_once_for_all_seeds_and_their_labelled_ones_for_each(
    main: Workspace, hidden: Content
) -> None:
    hidden["parts"]["small"] |= {"seeds": [0, 1], "settings": {"24": {"images.unlabelled": "all"}}}
    bench = open_small(main, hidden)
    recipes = [bench.build_recipe(block) for block in bench.blocks]
    assert {recipe.data.unlabelled for recipe in recipes} == {"images-unlabelled-all"}
    assert [recipe.source for recipe in recipes] == ["images-labelled-10-seed0", "images-labelled-10-seed1"]


def test_classes_that_are_not_kept_are_not_drawn_and_their_draw_has_another_name(
    main: Workspace, hidden: Content
) -> None:
    bench = open_small(main, hidden)
    recipe = bench.build_recipe(bench.blocks[0])
    few = recipe.model_copy(update={"data": recipe.data.model_copy(update={"classes": ("one",)})})
    plain = few.model_copy(update={"data": few.data.model_copy(update={"unlabelled": "images-unlabelled-4"})})
    named = name_drawn(plain, 0, 4, 4)
    assert named.source == named.data.unlabelled != recipe.data.unlabelled
    put_unlabelled(bench.own, named, 4)
    with np.load(bench.own.root / f"{named.source}.npz") as arrays:
        assert arrays["train_labels"].tolist() == [1] * 4


def test_how_many_images_are_hidden_and_what_the_races_prepare_is_in_fingerprints(
    main: Workspace, hidden: Content
) -> None:
    def fingerprint(**changes: Any) -> dict[str, str]:
        content = copy.deepcopy(hidden)
        content["parts"]["small"]["set"] |= changes
        bench = open_small(main, content)
        return {cell.arm: cell.fingerprint for cell in bench.list_cells(bench.blocks[0])}

    before = fingerprint()
    other = fingerprint(**{"images.unlabelled": 22})
    assert not set(before.values()) & set(other.values())
    longer = fingerprint(**{"classifier.seeds": 3})
    assert {arm for arm, found in before.items() if longer[arm] != found} == {"simclr-auto", "adainf-auto"}


def test_an_arm_that_says_auto_asks_nothing_new_of_finished_fixed_arms(main: Workspace, hidden: Content) -> None:
    part = hidden["parts"]["small"]
    part["expanded"], auto = {}, part["baselines"].pop("simclr-auto")
    before = open_small(main, hidden)
    cells = before.list_cells(before.blocks[0])
    assert {measure for cell in cells for measure in before.list_measures(cell)} == set(part["measures"])
    add_rows(main.root, [Row(cell, measure, 0.5, 1.0) for cell in cells for measure in before.measures])
    part["baselines"]["simclr-auto"] = auto
    after = open_small(main, hidden)
    cells = after.list_cells(after.blocks[0])
    assert [cell.arm for cell in find_missing(cells, after.measures, read_results(main.root))] == ["simclr-auto"]
    own = {cell.arm: set(after.list_measures(cell)) - set(part["measures"]) for cell in cells}
    assert own == {"plain": {"validation"}, "simclr": {"validation"}, "simclr-auto": set(DECIDED)}


def test_a_part_without_generated_images_trains_none(main: Workspace, hidden: Content) -> None:
    part = hidden["parts"]["small"]
    part["expanded"], part["baselines"]["expanded-real"] = {}, {"trainer": "supervised", "augmentation": "flip_crop"}
    bench = open_small(main, hidden)
    recipe = bench.build_recipe(bench.blocks[0])
    assert list(recipe.expanded) == ["expanded"] and recipe.expanded["expanded"].trainer.kind == "simclr"
    arms = ["plain", "simclr", "simclr-auto", "expanded-real"]
    assert [cell.arm for cell in bench.list_cells(bench.blocks[0])] == arms
    assert recipe.baselines["expanded-real"].trainer.kind == "supervised", "an arm of this name is the user's own"


def test_a_quick_run_hides_as_many_as_it_says_and_has_small_batches(
    main: Workspace, hidden: Content, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(budget, "QUICK_BATCH", 8)
    quick, whole = (open_small(main, hidden, quick=is_quick) for is_quick in (True, False))
    recipes = [bench.build_recipe(bench.blocks[0]) for bench in (quick, whole)]
    assert [recipe.data.unlabelled for recipe in recipes] == [f"images-unlabelled-{n}-seed0" for n in (20, 24)]
    assert [recipe.source for recipe in recipes] == ["images-unlabelled-20-seed0", "images-labelled-10-seed0"]
    assert [recipe.expanded["inflated"].trainer.model_dump()["batch_size"] for recipe in recipes] == [8, 12]


def test_what_the_controller_chose_is_told_in_numbers() -> None:
    settings = ClassifierSettings(steps=800, seeds=5)
    arm = Arm.model_validate({"trainer": TRAINER, "strength": "auto", "real_weight": "auto"})
    used = describe(arm, settle_arm(arm, strength=0.5, real_weight=3.0), settings, is_expanded=True)
    # Its own rounds of 4 x 85 and 2 x 170 steps, and twice 3 x 170 that decide, over 5 x 800.
    assert used == Decided(0.5, 3.0, True, (4 * 85 + 2 * 170 + 6 * 170) / 4000)
    alone = leave_out_generated(settle_arm(simplify(arm), strength=0.25))
    assert describe(arm, alone, settings, is_expanded=True) == Decided(0.25, None, False, used.race_steps)
    real = describe(simplify(arm), settle_arm(simplify(arm), strength=1.0), settings, is_expanded=False)
    assert real == Decided(1.0, None, None, (4 * 85 + 2 * 170) / 4000)


def test_arms_that_say_auto_share_what_is_read_and_measured_in_a_block(
    main: Workspace, hidden: Content, monkeypatch: pytest.MonkeyPatch
) -> None:
    read_images, given = list[str](), list[Known]()

    def settle(run: StageRun, contest: Contest, known: Known) -> Settled:
        known.read_real()
        given.append(known)
        return Settled({name: settle_arm(arm, strength=0.5) for name, arm in contest.arms.items()}, {})

    monkeypatch.setattr(races, "read_real", lambda inputs: read_images.append(inputs["real"]))
    monkeypatch.setattr(controlled, "settle_automatic", settle)
    bench = open_small(main, hidden)
    recipe = bench.build_recipe(bench.blocks[0])
    auto = recipe.baselines["simclr-auto"]
    contest = Contest(
        arms={"a": auto, "b": auto},
        training=(Examples(np.zeros((2, 1, 8, 8), np.uint8), np.arange(2), np.ones(2), np.zeros(2, bool)),),
        first_seed=0,
        validation=(np.zeros((2, 1, 8, 8), np.uint8), np.arange(2)),
        settings=recipe.classifier,
        metric="accuracy",
        classes=2,
        scratch=main.root / "races",
        device="cpu",
    )
    inputs = {"real": main.root}
    found = controlled.settle_arms(bench.own, recipe, contest, {"a": "one", "b": "two"}, inputs, Runtime(workers=1))
    assert [arm.strength for arm, _ in found.values()] == [0.5, 0.5] and list(found) == ["one", "two"]
    assert read_images == [main.root] and given[0] is given[1]


def read(table: pl.DataFrame, measure: str) -> dict[str, float | None]:
    return dict(table.filter(pl.col("measure") == measure).select("arm", "value").iter_rows())


def choose(monkeypatch: pytest.MonkeyPatch, arm: Callable[[Arm], Arm]) -> list[str]:
    """Hold the races, and then let the controller have chosen this of an arm; returns the names of those that raced."""
    raced, hold = list[str](), races.settle_automatic

    def settle(run: StageRun, contest: Contest, known: Known) -> Settled:
        found = hold(run, contest, known)
        assert all(log["rounds"] for log in found.entries["controller"].values())
        raced.extend(contest.arms)
        return Settled({name: arm(each) for name, each in contest.arms.items()}, found.entries)

    monkeypatch.setattr(controlled, "settle_automatic", settle)
    return raced


def test_a_study_scores_encoders_and_lets_an_arm_race_in_its_block(
    main: Workspace,
    write: Callable[[Content], Study],
    hidden: Content,
    runtime: Runtime,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    raced = choose(monkeypatch, lambda arm: settle_arm(arm, strength=1.0))
    hidden["parts"]["small"]["expanded"] = {}
    study = write(hidden)
    with one_core():
        finished = run_study(study, main, runtime)
    assert (finished.cells, finished.missing, raced) == (3, 0, ["simclr-auto"])
    for measure, low, high in (("alignment", 0, 4), ("uniformity", -8, 0), ("relative_confusion", 0, 100)):
        found = read(finished.table, measure)
        assert found.pop("plain") is None and found.keys() == {"simclr", "simclr-auto"}
        assert all(value is not None and low <= value <= high for value in found.values()), found
    told = finished.table.filter(pl.col("arm") == "simclr-auto")
    assert told.filter(pl.col("measure") == "chosen_strength")["value"].to_list() == [1.0]
    assert set(read(finished.table, "chosen_strength")) == {"simclr-auto"}
    assert read(finished.table, "race_steps")["simclr-auto"] == 2 / 28
    for measure in ("accuracy", "alignment", "validation"):
        found = read(finished.table, measure)
        assert found["simclr-auto"] == found["simclr"] is not None, "at strength 1 it is the published arm"
    assert not list(main.root.glob(".growset/studies/**/*-controller")), "races of finished blocks are deleted"
    page = write_page(study, finished).read_text(encoding="utf-8")
    assert "What the controller chose, seed by seed" in page and "| 24 | 14 | simclr-auto |" in page
    assert "Mean average relative confusion (ARC):" in page and "Mean validation" not in page


@pytest.mark.slow
def test_an_arm_with_generated_images_finds_the_races_of_its_counterpart(
    main: Workspace,
    write: Callable[[Content], Study],
    hidden: Content,
    runtime: Runtime,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    study, lines = write(hidden), list[str]()

    def leave_out(arm: Arm) -> Arm:
        settled = settle_arm(simplify(arm), strength=1.0)
        return leave_out_generated(settled) if arm.real_weight == "auto" else settled

    raced = choose(monkeypatch, leave_out)
    with one_core():
        finished = run_study(study, main, replace(runtime, sink=lines.append))
    assert (finished.cells, finished.missing, raced) == (5, 0, ["simclr-auto", "adainf-auto"]), lines
    used, shares = (read(finished.table, name) for name in ("uses_generated", "race_steps"))
    assert used["adainf-auto"] == 0 and used["simclr-auto"] is None and "inflated" not in used
    assert (shares["simclr-auto"], shares["adainf-auto"]) == (2 / 28, (2 + 12) / 28)
    accuracy = read(finished.table, "accuracy")
    assert accuracy["adainf-auto"] == accuracy["simclr-auto"] == accuracy["simclr"], "it is its counterpart"
    assert any("adainf-auto, on real images alone: after 1 steps" in line for line in lines)
    assert any(" are kept from earlier ones" in line for line in lines)
    assert "| 24 | 14 | adainf-auto |" in write_page(study, finished).read_text(encoding="utf-8")
