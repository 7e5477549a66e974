"""A study end to end on digits: stopped and gone on with, killed, changed; nothing is trained twice, no value moves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from ops.classifiers import runs
from ops.classifiers.variants.oracle import Oracle
from ops.datasets.nuisances import fill_background
from ops.errors import EnvironmentFault, UserError
from ops.files.outputs import IMAGINATION_FACTS, ROUNDS
from ops.files.storage import write_json
from ops.stages.materialization import Runtime
from ops.stages.refused import REFUSED
from ops.study import block
from ops.study.bench import open_bench
from ops.study.design import Study
from ops.study.page import write_page
from ops.study.results import add_rows, read_results
from ops.study.running import rehearse_study, run_study
from ops.workspaces.locks import exclusive_study
from ops.workspaces.workspace import Workspace
from tests.studies import Content, make_workspace, write_study

VALUES = ["setting", "steps", "seed", "arm", "network", "measure", "value"]
Trained = list[tuple[str, int]]  # arm's fingerprint and seed of each training


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> Trained:
    """What was trained so far, in order."""
    found: Trained = []
    train = runs._train_run

    def note(run: runs.Run) -> runs.Run:
        done = train(run)
        found.append((run.arm, run.seed))
        return done

    monkeypatch.setattr(runs, "_train_run", note)
    return found


@pytest.fixture
def small(content: Content) -> Content:
    """One setting and seed: two networks of `plain`, one of `taught`, and the ensemble."""
    part = content["parts"]["small"]
    part["settings"], part["seeds"] = {"6": part["settings"]["6"]}, [0]
    return content


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> pl.DataFrame:
    """The values of the study `small` without any interruption, in a workspace of its own."""
    from tests.studies import CONTENT

    part = CONTENT["parts"]["small"]
    changed = {**part, "settings": {"6": part["settings"]["6"]}, "seeds": [0]}
    main = make_workspace(tmp_path_factory.mktemp("whole").resolve() / "main")
    study = write_study(main, {**CONTENT, "parts": {"small": changed}})
    return run_study(study, main, Runtime(workers=1)).table.select(VALUES)


def count_up(step: float) -> Callable[[], float]:
    """A clock that is `step` seconds later at each look."""
    times = iter(range(1000))
    return lambda: next(times) * step


def test_a_budget_stops_between_groups_and_the_next_call_trains_what_is_missing(
    main: Workspace,
    write: Callable[[Content], Study],
    small: Content,
    runtime: Runtime,
    trained: Trained,
    whole: pl.DataFrame,
) -> None:
    study, lines = write(small), list[str]()
    first = run_study(study, main, replace(runtime, sink=lines.append), budget=1, clock=count_up(61))
    assert (first.cells, first.missing, len(first.table)) == (4, 2, 0), "an incomplete block is not shown"
    assert Counter(seed for _, seed in trained) == {0: 1, 1: 1}
    assert "study digits: reading its images" in lines
    assert any("2 trainings: plain" in line for line in lines)
    second = run_study(study, main, runtime)
    assert second.missing == 0
    assert len(trained) == len(set(trained)) == 3, "teachers and members of the ensemble were kept"
    assert second.table.select(VALUES).equals(whole)
    assert second.table["value"].is_between(0, 1).all()
    assert list(main.root.glob(".growset/studies/digits/*/trainings/**/*.safetensors")) == []
    third = run_study(study, main, runtime)
    assert third.table.equals(second.table)
    assert len(trained) == 3


def test_a_training_that_was_interrupted_repeats_no_finished_one(
    main: Workspace,
    write: Callable[[Content], Study],
    small: Content,
    runtime: Runtime,
    trained: Trained,
    whole: pl.DataFrame,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    study, train = write(small), runs._train_run

    def stop_at_second(run: runs.Run) -> runs.Run:
        if trained:
            raise KeyboardInterrupt
        return train(run)

    with monkeypatch.context() as patch:
        patch.setattr(runs, "_train_run", stop_at_second)
        with pytest.raises(KeyboardInterrupt):
            run_study(study, main, runtime)
    assert read_results(study.folder).is_empty()
    assert run_study(study, main, runtime).table.select(VALUES).equals(whole)
    assert len(trained) == len(set(trained)) == 3


def test_networks_of_an_ensemble_that_were_deleted_are_trained_again_and_others_settings_are_not_taken_for_them(
    main: Workspace,
    write: Callable[[Content], Study],
    small: Content,
    runtime: Runtime,
    trained: Trained,
    whole: pl.DataFrame,
) -> None:
    part: dict[str, Any] = small["parts"]["small"]
    ensembles, rate = part.pop("ensembles"), part["set"]["classifier.grid.learning_rate"]
    run_study(write(small), main, runtime)  # complete, so its networks are deleted
    part["set"]["classifier.grid.learning_rate"] = [0.3]
    run_study(write(small), main, runtime, budget=1, clock=count_up(61))  # these networks stay
    part["ensembles"], part["set"]["classifier.grid.learning_rate"] = ensembles, rate
    before = len(trained)
    assert run_study(write(small), main, runtime).table.select(VALUES).equals(whole)
    assert Counter(trained[before:]) == {each: 1 for each in trained[:2]}


def test_a_changed_grid_keeps_what_still_holds(
    main: Workspace, write: Callable[[Content], Study], small: Content, runtime: Runtime, trained: Trained
) -> None:
    part: dict[str, Any] = small["parts"]["small"]
    part["baselines"].pop("taught")
    run_study(write(small), main, runtime)
    assert len(trained) == 2
    part["baselines"]["focal"] = {"loss": "focal"}
    part["settings"]["6+other"] = {**part["settings"]["6"], "generator.steps": 61}
    found = run_study(write(small), main, runtime).table
    assert len(trained) == 3, "a generator's setting changes no baseline"
    shown = found.filter(pl.col("measure") == "accuracy").select("setting", "arm", "network", "value")
    one, other = (shown.filter(pl.col("setting") == name).drop("setting") for name in ("6", "6+other"))
    assert len(one) == 4
    assert one.equals(other)
    del part["settings"]["6"], part["baselines"]["focal"]
    part["quick"] = {"settings": ["6+other"]}
    part["baselines"]["renamed"] = part["baselines"].pop("plain")
    part["ensembles"], part["networks"] = {"ensemble": "renamed"}, {"renamed": 2}
    found = run_study(write(small), main, runtime).table
    assert len(trained) == 3
    assert set(found["arm"]) == {"renamed", "ensemble"}
    assert "focal" in read_results(main.root / "studies" / "digits")["arm"].to_list(), "removed cells stay in the file"
    part["measures"] = ["balanced_accuracy"]
    assert run_study(write(small), main, runtime).missing == 0
    assert len(trained) == 5, "networks are not kept, so a new measure trains them again"


NEAR_CHANCE = "the scorer is near chance; mode: random takes the place of guided, unless force: true"


@pytest.mark.parametrize(
    ("unused", "other_mode", "said"),
    [
        ("it has not learnt", None, "generator not used: it has not learnt"),
        (None, NEAR_CHANCE, f"images not used: {NEAR_CHANCE}"),  # not imagined as the setting says
    ],
)
def test_seeds_for_which_no_generated_image_is_used_have_no_value_and_count_as_done(
    main: Workspace,
    write: Callable[[Content], Study],
    small: Content,
    runtime: Runtime,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    unused: str | None,
    other_mode: str | None,
    said: str,
) -> None:
    part: dict[str, Any] = small["parts"]["small"]
    part["expanded"] = {"grown": {"augmentation": "flip_crop"}}
    part["networks"]["grown"], part["ensembles"]["grown-ensemble"] = 2, "grown"
    made = block._Work.make_images
    write_json(tmp_path / IMAGINATION_FACTS, {"why": other_mode})

    def make_images(work: block._Work, last: str) -> dict[str, Path]:
        return {**made(work, "real_images"), "generated_images": tmp_path, "generator_onnx": tmp_path}

    monkeypatch.setattr(block._Work, "make_images", make_images)
    monkeypatch.setattr(block, "read_unused", lambda folder: unused)
    study, lines = write(small), list[str]()
    found = run_study(study, main, replace(runtime, sink=lines.append))
    assert found.missing == 0
    assert f"small, setting 6, 4 steps, seed 0: {said}" in lines
    nulls = found.table.filter(pl.col("value").is_null())
    assert set(nulls["arm"]) == {"grown", "grown-ensemble"}
    assert len(nulls) == 2 * (2 + 1)
    assert "not used" in write_page(study, found).read_text()


@pytest.mark.parametrize("refused", [None, {}, {"one": "it moves too little"}])
def test_the_classes_that_the_gate_refused_are_known_to_the_arms_with_generated_images(
    main: Workspace,
    write: Callable[[Content], Study],
    small: Content,
    runtime: Runtime,
    tmp_path: Path,
    refused: dict[str, str] | None,
) -> None:
    small["parts"]["small"]["expanded"] = {"grown": {}}
    study = write(small)
    bench = open_bench(study, "small", main, tmp_path / "area", runtime, quick=False)
    work = block._Work(bench, bench.blocks[0], bench.build_recipe(bench.blocks[0]))
    write_json(tmp_path / ROUNDS, {"rounds": []} if refused is None else {"rounds": [], REFUSED: refused})
    vars(work)["mixed"] = {"generated_images": tmp_path}
    assert work.count_refused("grown") == (None if refused is None else len(refused))
    assert work.count_refused("plain") is None


@pytest.mark.slow
def test_arms_with_variants_of_seed_images_run_through_the_chain(
    main: Workspace, write: Callable[[Content], Study], small: Content, runtime: Runtime
) -> None:
    part: dict[str, Any] = small["parts"]["small"]
    part["set"] |= {
        "generator": {"kind": "geometry", "images": 12, "least": 6},
        "sampler": {"usable_from": None, "moves": None, "keeps": None},
    }
    part["baselines"], part["networks"], part["ensembles"] = {"plain": {}}, {}, {}
    part["expanded"] = {"varied": {"variants": "git"}}
    part["measures"] = ["accuracy", "refused"]
    found = run_study(write(small), main, runtime).table
    counts = dict(found.filter(pl.col("measure") == "refused").select("arm", "value").iter_rows())
    assert counts == {"plain": None, "varied": 0.0}
    assert found.filter(pl.col("measure") == "accuracy")["value"].is_between(0, 1).all()


def test_a_second_process_is_refused_at_once(
    main: Workspace, write: Callable[[Content], Study], small: Content, runtime: Runtime, trained: Trained
) -> None:
    study = write(small)
    with exclusive_study(main, "digits"), pytest.raises(EnvironmentFault, match="'digits' is being run by another"):
        run_study(study, main, runtime)
    assert trained == []
    with exclusive_study(main, "another"):
        assert run_study(study, main, runtime, budget=0).missing == 2


def test_mistakes_of_a_later_part_stop_the_study_before_the_first_is_trained(
    main: Workspace, write: Callable[[Content], Study], small: Content, runtime: Runtime, trained: Trained
) -> None:
    small["parts"]["later"] = {**small["parts"]["small"], "images": {"source": "gone"}}
    with pytest.raises(UserError, match="part 'later': there is no source 'gone'"):
        run_study(write(small), main, runtime)
    assert trained == []


def test_a_rehearsal_keeps_nothing(
    main: Workspace, write: Callable[[Content], Study], small: Content, runtime: Runtime
) -> None:
    study = write(small)
    before = sorted(main.root.rglob("*"))
    assert rehearse_study(study, main, runtime) == 3, "one network of each arm"
    assert sorted(main.root.rglob("*")) == before


@pytest.mark.slow
def test_arms_with_generated_images_run_through_the_chain(
    main: Workspace, write: Callable[[Content], Study], small: Content, runtime: Runtime, trained: Trained
) -> None:
    part: dict[str, Any] = small["parts"]["small"]
    part["settings"]["6+more"] = {**part["settings"]["6"], "plan.ratio": 2}
    part["expanded"] = {"grown": {}, "placebo": {"placebo": "augmented"}}
    part["measures"] = ["accuracy"]
    study = write(small)
    found = run_study(study, main, runtime)
    assert found.missing == 0
    assert len(found.table) == found.cells == 2 * (2 + 1 + 1 + 2)
    assert len(trained) == len(set(trained)) == 3 + 2 * 2
    assert found.table["value"].is_between(0, 1).all()
    again = read_results(study.folder)
    assert run_study(study, main, runtime).missing == 0
    assert read_results(study.folder).equals(again)
    # Another part with the same generator and another arm: the generator is found, not trained.
    small["parts"]["other"] = {**part, "expanded": {"grown": {}, "heavier": {"real_weight": 9.0}}}
    lines, before = list[str](), len(trained)
    assert run_study(write(small), main, replace(runtime, sink=lines.append)).missing == 0
    assert len(trained) == before + 2
    assert any(line.endswith(": generator") for line in lines)
    assert not any(": generator: " in line for line in lines)


def test_a_page_is_drawn_from_what_is_complete(
    main: Workspace, write: Callable[[Content], Study], small: Content, runtime: Runtime
) -> None:
    study = write(small)
    found = run_study(study, main, runtime)
    page = write_page(study, found)
    text, figure = page.read_text(), (study.folder / "figure.svg").read_bytes()
    assert "4 of 4 cells are done" in text
    assert "| 6 | 4 | 1 |" in text
    add_rows(study.folder, [])
    assert write_page(study, run_study(study, main, runtime)).read_text() == text
    assert (study.folder / "figure.svg").read_bytes() == figure


def test_an_arm_by_the_oracle_learns_from_fresh_draws_on_the_images_from_before_the_nuisance(
    main: Workspace,
    write: Callable[[Content], Study],
    small: Content,
    runtime: Runtime,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    part = small["parts"]["small"]
    part["settings"] = {"6": {"data.images_per_class": 6, "data.nuisance": "background"}}
    part["baselines"] = {"oracle": {"variants": {"kind": "git", "by": ["oracle"], "below": 7}}}
    part["networks"], part["ensembles"] = {}, {}
    asked, apply = list[tuple[Oracle, np.ndarray, list[str]]](), Oracle.apply

    def spy(self: Oracle, images: np.ndarray, keys: list[str], ks: np.ndarray) -> np.ndarray:
        asked.append((self, images, keys))
        return apply(self, images, keys, ks)

    monkeypatch.setattr(Oracle, "apply", spy)
    assert len(run_study(write(small), main, runtime).table) == len(part["measures"])
    assert len(asked) == part["steps"][0]
    for oracle, images, keys in asked:
        clean = oracle.clean[[oracle.rows[key] for key in keys]]
        assert (clean == 0).any(axis=(1, 2, 3)).all()
        levels = np.array([image[before == 0][0] for image, before in zip(images, clean, strict=True)])
        np.testing.assert_array_equal(images, fill_background(clean, levels))
    part["baselines"]["oracle"]["variants"]["below"] = 6
    with pytest.raises(UserError, match="setting '6': variants of the arm 'oracle': below 6 is not above the smallest"):
        run_study(write(small), main, runtime)
