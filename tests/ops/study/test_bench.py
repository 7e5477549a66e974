"""Blocks and fingerprints: all that decides a value changes the fingerprint of its cell, and nothing else does."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ops.errors import UserError
from ops.stages.materialization import Runtime
from ops.study import bench as module
from ops.study.bench import Bench, open_bench
from ops.study.results import Block
from ops.workspaces.workspace import Workspace
from tests.studies import CONTENT, Content, make_workspace, write_study

ARMS = ("plain", "taught", "grown", "balanced", "ensemble")
ALL, GROWN = set(ARMS), {"grown"}


def build_content() -> Content:
    found = copy.deepcopy(CONTENT)
    part = found["parts"]["small"]
    part["baselines"]["balanced"] = {"sampler": "class_balanced", "pairing": {"kind": "mixup", "alpha": 0.5}}
    part["expanded"] = {"grown": {}}
    return found


@pytest.fixture
def content() -> Content:
    return build_content()


@pytest.fixture(scope="module")
def main(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """Nothing is made in it but the images that are put aside."""
    return make_workspace(tmp_path_factory.mktemp("study").resolve() / "main")


@pytest.fixture(scope="module")
def open_small(main: Workspace) -> Callable[[Content], Bench]:
    def open_it(content: Content) -> Bench:
        study = write_study(main, content)
        return open_bench(study, "small", main, main.root / "area", Runtime(workers=1), quick=False)

    return open_it


@pytest.fixture(scope="module")
def before(open_small: Callable[[Content], Bench]) -> dict[str, list[str]]:
    """The fingerprints of the unchanged study."""
    return fingerprint(open_small(build_content()))


def fingerprint(bench: Bench, setting: str = "6") -> dict[str, list[str]]:
    """The fingerprints of each arm's cells in a block of seed 0."""
    block = next(block for block in bench.blocks if block.setting == setting and block.seed == 0)
    found: dict[str, list[str]] = {}
    for cell in bench.list_cells(block):
        found.setdefault(cell.arm, []).append(cell.fingerprint)
    return found


def change(content: Content, way: str, value: Any) -> Content:
    """The content with another value at a place of the part, keys divided by slashes."""
    changed = copy.deepcopy(content)
    *sections, last = way.split("/")
    place = changed["parts"]["small"]
    for section in sections:
        place = place[section]
    place[last] = value
    return changed


@pytest.mark.parametrize(
    ("way", "value", "arms"),
    [
        ("set/classifier.batch_size", 8, ALL),
        ("set/classifier.network", {"kind": "small_resnet", "width": 16}, ALL),
        ("set/classifier.precision", "fp32", ALL),
        ("set/classifier.label_smoothing", 0.1, ALL),
        ("set/classifier.clean_statistics", True, ALL),
        ("set/classifier.grid.learning_rate", [0.01], ALL),
        ("set/classifier.grid.weight_decay", [0.3], ALL),
        ("set/data.label_noise", 0.2, ALL),
        ("settings/6", {"data.images_per_class": 7}, ALL),
        ("steps", [5], ALL),
        ("images/evaluation", 9, ALL),
        ("images/validation", 7, ALL),
        ("images/seed", 1, ALL),
        ("set/generator.steps", 61, GROWN),
        ("set/sampler.steps", 2, GROWN),
        ("set/filter.atypical", 0.01, GROWN),
        ("set/scorer.steps", 41, GROWN),
        ("set/plan.ratio", 2.0, GROWN),
        ("set/mix.real_weight", 5.0, GROWN),
        ("expanded/grown", {"real_weight": 3.0}, GROWN),
        ("expanded/grown", {"pairing": {"kind": "mixup", "alpha": 0.3}}, GROWN),
        ("baselines/balanced", {"sampler": "class_balanced", "pairing": {"kind": "mixup", "alpha": 0.4}}, {"balanced"}),
        ("baselines/plain", {"augmentation": {"kind": "flip_crop", "strength": 0.1}}, {"plain", "taught", "ensemble"}),
        (
            "baselines/taught",
            {"augmentation": "flip_crop", "targets": {"kind": "teacher", "of": "plain", "temperature": 2.0}},
            {"taught"},
        ),
        ("networks", {"plain": 3}, {"taught", "ensemble"}),
        # What decides nothing of these cells:
        ("seeds", [0, 1, 2], set()),
        ("steps", [4, 8], set()),
        ("measures", ["balanced_accuracy"], set()),
        ("set/scorer.folds", 3, GROWN),
        ("set/classifier.grid.real_weight", [4.0], GROWN),
        ("set/classifier.grid", {"pairing.alpha": [0.5]}, set()),
        ("baselines/another", {"loss": "focal"}, set()),
        ("quick", {"settings": ["12"], "steps": 9}, set()),
        ("settings/40", {"data.images_per_class": 10}, set()),
    ],
)
def test_what_decides_a_value_is_in_its_fingerprint(
    open_small: Callable[[Content], Bench],
    before: dict[str, list[str]],
    content: Content,
    way: str,
    value: Any,
    arms: set[str],
) -> None:
    after = fingerprint(open_small(change(content, way, value)))
    assert {arm for arm in ARMS if before[arm][0] != after[arm][0]} == arms  # networks 0, of which there is always one


@pytest.mark.parametrize(
    ("stage", "arms"),
    [
        ("real_images", ALL),
        ("generator", GROWN),
        ("mixed_dataset", GROWN),
        ("baseline_classifiers", ALL - GROWN),
        ("expanded_classifiers", GROWN),
        ("training_policy", set()),
        ("verdict", set()),
    ],
)
def test_versions_of_the_stages_that_run_are_in_it(
    open_small: Callable[[Content], Bench],
    before: dict[str, list[str]],
    main: Workspace,
    content: Content,
    stage: str,
    arms: set[str],
) -> None:
    main.edit_params(stage_versions={stage: 2})
    after = fingerprint(open_small(content))
    main.edit_params(stage_versions={stage: 1})
    assert {arm for arm in ARMS if before[arm] != after[arm]} == arms


def test_images_and_the_studys_own_version_are_in_it(
    tmp_path: Path, before: dict[str, list[str]], content: Content, monkeypatch: pytest.MonkeyPatch
) -> None:
    main = make_workspace(tmp_path.resolve() / "main")

    def open_small(content: Content) -> Bench:
        return open_bench(write_study(main, content), "small", main, tmp_path / "area", Runtime(workers=1), quick=False)

    assert fingerprint(open_small(content)) == before, "nothing of the place is in it"
    monkeypatch.setattr(module, "VERSION", module.VERSION + 1)
    assert not set(map(tuple, before.values())) & set(map(tuple, fingerprint(open_small(content)).values()))
    monkeypatch.undo()
    with np.load(main.root / "digits.npz") as arrays:
        parts = dict(arrays)
    parts["train_images"][0, 0, 0] ^= 1
    np.savez(main.root / "digits.npz", **parts)
    assert not set(map(tuple, before.values())) & set(map(tuple, fingerprint(open_small(content)).values()))


def test_names_decide_nothing_and_equal_cells_of_two_settings_have_one_fingerprint(
    open_small: Callable[[Content], Bench], content: Content
) -> None:
    part = content["parts"]["small"]
    part["settings"]["6+longer"] = {"data.images_per_class": 6, "generator.steps": 90}
    part["baselines"]["again"] = part["baselines"]["plain"]
    bench = open_small(content)
    short, longer = fingerprint(bench), fingerprint(bench, "6+longer")
    assert {arm for arm in ARMS if short[arm] != longer[arm]} == GROWN
    assert short["again"] == short["plain"][:1]


def test_a_quick_run_has_one_setting_seed_and_network_and_short_trainers(main: Workspace, content: Content) -> None:
    part = content["parts"]["small"]
    part["baselines"]["features"] = {"trainer": "feature_diffusion"}
    study = write_study(main, content)
    bench = open_bench(study, "small", main, main.root / "quick", Runtime(workers=1), quick=True)
    (block,) = bench.blocks
    assert (block.setting, block.steps, block.seed) == ("6", 2, 0)
    assert [cell.arm for cell in bench.list_cells(block)] == [
        "plain",
        "taught",
        "balanced",
        "features",
        "grown",
        "ensemble",
    ]
    recipe = bench.build_recipe(block)
    assert recipe.classifier.steps == 2
    trainer = recipe.baselines["features"].trainer
    assert (getattr(trainer, "steps", 0), getattr(trainer, "epochs", 0)) == (2, 2)
    assert recipe.baselines["plain"].trainer.kind == "supervised"


def test_networks_and_seeds_have_fingerprints_of_their_own(
    open_small: Callable[[Content], Bench], content: Content
) -> None:
    bench = open_small(content)
    cells = [cell for block in bench.blocks for cell in bench.list_cells(block)]
    assert len({cell.fingerprint for cell in cells}) == len(cells) == 2 * 2 * (2 + 1 + 1 + 1 + 1)


def test_all_settings_of_a_seed_come_before_the_next_seed(
    open_small: Callable[[Content], Bench], content: Content
) -> None:
    content["parts"]["small"]["steps"] = [8, 4]
    blocks = open_small(content).blocks
    assert blocks[:3] == [Block("small", "6", 8, 0), Block("small", "12", 8, 0), Block("small", "6", 4, 0)]
    assert [block.seed for block in blocks] == [0] * 4 + [1] * 4


def test_a_setting_that_no_image_can_fill_is_refused_with_the_files_name(
    open_small: Callable[[Content], Bench], content: Content
) -> None:
    with pytest.raises(UserError, match=r"grid\.yaml, part 'small', setting '6': class \w+ is to have 500 training"):
        open_small(change(content, "settings/6", {"data.images_per_class": 500}))
