"""Equal steps and equal epochs: how many steps each arm has, what has none, and what decides a fingerprint."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from ops.classifiers.examples import Examples
from ops.errors import UserError
from ops.recipe.automatic import leave_out_generated, settle_arm
from ops.stages.materialization import Runtime
from ops.study import block
from ops.study.bench import Bench, open_bench
from ops.study.block import _Work
from ops.study.budget import count_steps
from ops.study.controlled import Decided
from ops.study.design import Study
from ops.workspaces.workspace import Workspace
from tests.studies import Content


@pytest.fixture
def part(content: Content) -> Content:
    found: Content = content["parts"]["small"]
    del found["baselines"]["taught"]
    found |= {"ensembles": {}, "seeds": [0], "networks": {}}
    found["set"]["plan.ratio"] = 3.0
    found["expanded"] = {"x1": {"augmentation": "flip_crop", "ratio": 1.0}, "x3": {"augmentation": "flip_crop"}}
    return found


@pytest.fixture
def open_part(main: Workspace, write: Callable[[Content], Study], content: Content, part: Content) -> Any:
    def open_it(**changes: Any) -> Bench:
        changed = copy.deepcopy(content)
        changed["parts"]["small"] |= changes
        return open_bench(write(changed), "small", main, main.root / "area", Runtime(workers=1), quick=False)

    return open_it


def test_equal_epochs_are_as_many_more_steps_as_the_set_is_larger(open_part: Callable[..., Bench]) -> None:
    bench = open_part()
    recipe = bench.build_recipe(bench.blocks[0])
    expanded = recipe.expanded
    assert [count_steps(recipe, arm, "epochs", is_expanded=True) for arm in expanded.values()] == [8, 16]
    assert [count_steps(recipe, arm, "steps", is_expanded=True) for arm in expanded.values()] == [4, 4]
    assert count_steps(recipe, recipe.baselines["plain"], "epochs", is_expanded=False) == 4


def fingerprint(bench: Bench) -> dict[str, str]:
    return {cell.arm: cell.fingerprint for cell in bench.list_cells(bench.blocks[0])}


def test_an_arm_of_equal_epochs_is_that_of_so_many_equal_steps(open_part: Callable[..., Bench]) -> None:
    steps, epochs, longer = (open_part(**keys) for keys in ({}, {"budget": "epochs"}, {"steps": [8]}))
    assert fingerprint(steps)["plain"] == fingerprint(epochs)["plain"], "real images are trained on once"
    assert fingerprint(epochs)["x1"] == fingerprint(longer)["x1"]
    assert not set(fingerprint(epochs).values()) & {fingerprint(steps)["x1"], fingerprint(steps)["x3"]}


def test_the_networks_take_the_steps(open_part: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch) -> None:
    bench = open_part(budget="epochs", settings={"6": {"data.images_per_class": 6}})
    work = _Work(bench, bench.blocks[0], bench.build_recipe(bench.blocks[0]))
    taken: dict[str, int] = {}

    def note(contest: Any, runs: Any, *rest: Any) -> Any:
        names = {name: arm for arm, name in bench.name_arms(bench.blocks[0]).items()}
        taken.update({names[run.arm]: contest.find_steps(run.setting) for run in runs})
        return dict.fromkeys(runs)

    monkeypatch.setattr(block, "train_runs", note)
    monkeypatch.setattr(block._Work, "grown", object())
    for group in work.list_groups():
        if group:
            work.train([(arm, 0) for arm in group])
    assert taken == {"plain": 4, "x1": 8, "x3": 16}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"expanded": {}}, "budget: epochs has no effect without arms under expanded"),
        (
            {"expanded": {"c": {"augmentation": "flip_crop", "consistency": "ema"}}},
            "budget: epochs counts generated images as images of the training set, which they are not in the arm 'c'",
        ),
    ],
)
def test_epochs_that_would_mean_nothing_are_refused(
    open_part: Callable[..., Bench], part: Content, changes: dict[str, Any], message: str
) -> None:
    if changes["expanded"]:
        part["baselines"]["c-real"] = {
            "augmentation": "flip_crop",
            "consistency": {"kind": "ema", "images": "real"},
        }
    with pytest.raises(UserError, match=message):
        open_part(budget="epochs", **changes)


AUTO = {"strength": "auto", "real_weight": "auto"}


def test_equal_epochs_and_an_arm_that_leaves_something_to_the_controller_are_refused(
    write: Callable[[Content], Study], content: Content, part: Content
) -> None:
    part |= {"steps": [200], "quick": {"settings": ["6"], "steps": 200}}
    part["baselines"]["auto"], part["expanded"]["grown-auto"] = {"strength": "auto"}, AUTO
    write(content)
    part["budget"] = "epochs"
    with pytest.raises(UserError, match=r"setting '6': budget: epochs has no arm with auto, as 'auto' has, because"):
        write(content)


def test_a_ratio_of_its_own_needs_classes_that_grow_alike(open_part: Callable[..., Bench], part: Content) -> None:
    part["set"]["plan.balance"] = "equalise"
    with pytest.raises(UserError, match=r"needs plan\.balance: keep where an arm has a ratio of its own, as 'x1' has"):
        open_part(budget="epochs")
    open_part()


def test_a_setting_trains_no_arm_that_it_leaves_out(open_part: Callable[..., Bench]) -> None:
    bench = open_part(
        leave_out={"12": ["x3"]},
        settings={"6": {"data.images_per_class": 6}, "12": {"data.images_per_class": 12, "plan.ratio": 1.0}},
        ensembles={"three": "x3"},
    )
    few, many = bench.blocks
    assert [cell.arm for cell in bench.list_cells(few)] == ["plain", "x1", "x3", "three"]
    assert [cell.arm for cell in bench.list_cells(many)] == ["plain", "x1"]
    assert list(bench.build_recipe(many).expanded) == ["x1"], "plan.ratio need not reach an arm that is left out"
    assert bench.part.list_expanded("6") == ["x1", "x3"]


def test_gaps_are_measured_on_what_each_arm_learnt_from(
    open_part: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = open_part(measures=["accuracy", "gap"], settings={"6": {"data.images_per_class": 6}})
    work = _Work(bench, bench.blocks[0], bench.build_recipe(bench.blocks[0]))
    real = work.read_training_images("plain")
    assert real is not None and len(real.labels) == 12 and real.is_real.all()
    labels = np.concatenate([work.real.labels, np.repeat([0, 1], 18)])
    turns = np.concatenate([np.full(12, -1), np.tile(np.arange(18), 2)])
    images = np.concatenate([work.real.images, np.zeros((36, *work.real.images.shape[1:]), np.uint8)])
    grown = Examples(images, labels, np.ones(48), np.arange(48) >= 12, turns=turns)
    monkeypatch.setattr(_Work, "grown", grown)
    for arm, generated in (("x1", 12), ("x3", 36)):
        found = work.read_training_images(arm)
        assert found is not None and (len(found.labels), int(found.is_real.sum())) == (12 + generated, 12)
    bench = open_part(settings={"6": {"data.images_per_class": 6}})
    plain = _Work(bench, bench.blocks[0], bench.build_recipe(bench.blocks[0]))
    assert plain.read_training_images("plain") is None, "no measure asks for them"


def test_gaps_of_an_arm_that_the_controller_chose_are_measured_on_what_it_learnt_from_after_all(
    main: Workspace,
    write: Callable[[Content], Study],
    content: Content,
    part: Content,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    part |= {"steps": [200], "quick": {"settings": ["6"], "steps": 200}, "measures": ["accuracy", "gap"]}
    part["images"]["validation"], part["settings"] = 10, {"6": {"data.images_per_class": 10}}
    part["baselines"]["auto"], part["expanded"] = {"strength": "auto"}, {"grown-auto": AUTO}
    bench = open_bench(write(content), "small", main, main.root / "area", Runtime(workers=1), quick=False)
    work = _Work(bench, bench.blocks[0], bench.build_recipe(bench.blocks[0]))
    images = np.concatenate([work.real.images, np.zeros((60, *work.real.images.shape[1:]), np.uint8)])
    labels = np.concatenate([work.real.labels, np.repeat([0, 1], 30)])
    monkeypatch.setattr(_Work, "grown", Examples(images, labels, np.ones(80), np.arange(80) >= 20))
    used = settle_arm(work.find_arm("grown-auto"), strength=0.5, real_weight=3.0)
    alone = leave_out_generated(settle_arm(work.find_arm("auto"), strength=0.5))
    for settled, generated, share in ((used, 60, 60 / (3 * 20 + 60)), (alone, 0, 0.0)):
        work.settled["grown-auto"] = settled, Decided(0.5, None, None, 0.0)
        found = work.read_training_images("grown-auto")
        assert found is not None and (len(found.labels), int(found.is_real.sum())) == (20 + generated, 20)
        assert found.weights[~found.is_real].sum() / found.weights.sum() == pytest.approx(share)
