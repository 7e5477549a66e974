"""What the study `gda` of this repository takes for granted about its own settings and arms."""

from __future__ import annotations

from pathlib import Path

import pytest

from ops.recipe.fingerprints import stage_settings
from ops.recipe.ratios import list_ratios
from ops.study.design import Study, load_study
from ops.study.part_arms import read_arms
from ops.workspaces.workspace import Workspace
from tests.studies import build, find_part

ROOT = Path(__file__).parents[3]
PARTS = {"mlp": "mlp", "mlp-epochs": "mlp", "resnet18": "resnet18", "resnet18-epochs": "resnet18"}
MADE = ("real_images", "scorer", "expansion_plan", "generator", "generator_onnx", "generated_images", "mixed_dataset")


@pytest.fixture(scope="module")
def study() -> Study:
    return load_study(Workspace(ROOT), "gda")


def test_parts_share_their_generators_and_drawn_sets(study: Study) -> None:
    for part, network in PARTS.items():
        for setting in ("10-dcgan", "500-edm"):
            one, other = build(study, "mlp", setting), build(study, part, setting)
            assert other.classifier.network.kind == network
            assert [stage_settings(one, stage) for stage in MADE] == [stage_settings(other, stage) for stage in MADE]


def test_settings_differ_in_their_generator_and_number_of_images_alone(study: Study) -> None:
    part = find_part(study, "mlp")
    first = {kind: build(study, "mlp", f"10-{kind}") for kind in part.gains}
    for setting in part.settings:
        size, _, kind = setting.partition("-")
        assert part.gains[kind].count(setting) == 1
        if size in ("100", "5000"):
            recipe = build(study, "mlp", setting)
            assert (recipe.data.images_per_class, recipe.generator.kind) == (int(size), kind)
            assert (recipe.generator, recipe.sampler) == (first[kind].generator, first[kind].sampler)
    assert sum(map(len, part.gains.values())) == len(part.settings) == 20


def test_every_drawn_image_is_used_and_weighs_as_a_real_one(study: Study) -> None:
    recipe = build(study, "mlp", "100-stylegan2")
    assert (recipe.plan.ratio, recipe.plan.overdraw, recipe.plan.rounds, recipe.mix.real_weight) == (30.0, 1.0, 1, 1.0)
    assert not [rule for rule, cut in recipe.filter.model_dump().items() if cut is not None]
    assert recipe.sampler.usable_from is None
    assert build(study, "mlp", "5000-flow").plan.ratio == 3.0


def test_ratios_are_nested_sets_of_the_same_arm(study: Study) -> None:
    for part in PARTS:
        wanted = [1.0, 3.0, 10.0, 30.0] if PARTS[part] == "mlp" else [1.0, 10.0]
        assert {over: list(arms) for over, arms in list_ratios(*read_arms(find_part(study, part))).items()} == {
            "plain": wanted,
            "augmented": wanted,
        }
    assert find_part(study, "mlp").list_expanded("5000-edm") == ["x1", "x3", "x1+augmented", "x3+augmented"]


def test_the_first_turn_holds_the_small_network_and_two_generators(study: Study) -> None:
    first = [(name, setting) for name in PARTS for setting in find_part(study, name).settings]
    first = [(name, setting) for name, setting in first if find_part(study, name).find_turn(setting) == 1]
    assert first == [("mlp", f"{size}-{kind}") for kind in ("dcgan", "flow") for size in (10, 100, 500)]
    assert {name: find_part(study, name).budget for name in PARTS} == {
        name: "epochs" if name.endswith("epochs") else "steps" for name in PARTS
    }
