"""What the study `adainf` of this repository takes for granted about its own settings and arms."""

from __future__ import annotations

from pathlib import Path

import pytest

from ops.recipe.arms import Arm
from ops.recipe.automatic import list_automatic
from ops.recipe.fingerprints import stage_settings
from ops.study.controller_page import list_fixed
from ops.study.design import Study, load_study
from ops.study.part_arms import list_pairs
from ops.workspaces.workspace import Workspace
from tests.studies import build, find_part

ROOT = Path(__file__).parents[3]
CELLS = {  # whether generated, reweighted, weak
    "simclr": (False, False, False),
    "simclr+weak": (False, False, True),
    "inflated": (True, False, False),
    "reweighted": (True, True, False),
    "weakened": (True, False, True),
    "adainf": (True, True, True),
}


@pytest.fixture(scope="module")
def study() -> Study:
    return load_study(Workspace(ROOT), "adainf")


def test_every_cell_of_the_ablation_that_means_something_is_there_and_differs_in_these_three_alone(
    study: Study,
) -> None:
    recipe = build(study, "cells", "1000")
    for name, (generated, reweighted, weak) in CELLS.items():
        arm = {**recipe.baselines, **recipe.expanded}[name]
        assert (name in recipe.expanded, arm.strength, arm.real_weight) == (
            generated,
            0.5 if weak else None,
            (10.0 if reweighted else 1.0) if generated else None,
        )
        assert getattr(arm.augmentation, "crop", None) == pytest.approx(0.2 if weak else 0.08)
        keys = {"trainer": recipe.baselines["simclr"].trainer, "strength": arm.strength, "real_weight": arm.real_weight}
        assert arm == Arm.model_validate({key: value for key, value in keys.items() if value is not None})
    assert list_fixed("adainf-auto", recipe.baselines, recipe.expanded) == [
        *("simclr", "simclr+weak", "simclr+weaker"),
        *("inflated", "reweighted", "weakened", "adainf"),
    ]


def test_parts_differ_in_what_their_names_say_and_share_the_rest(study: Study) -> None:
    cells = build(study, "cells", "5000")
    assert (cells.data.unlabelled, cells.data.images_per_class) == ("images-unlabelled-5000", 50)
    same = ("real_images", "expansion_plan", "scorer", "generator_onnx", "mixed_dataset")
    for name, ratio, steps in (
        ("poorer", 10, 120),
        ("fifty", 50, 700),
        ("fifty-poorer", 50, 120),
        ("weights", 10, 700),
    ):
        other = build(study, name, "5000")
        assert (other.plan.ratio, getattr(other.generator, "steps", 0)) == (ratio, steps)
        for stage in same:
            changed = stage == "expansion_plan" and ratio == 50
            assert (stage_settings(other, stage) == stage_settings(cells, stage)) is not changed
        if name != "weights":
            assert (other.baselines, other.expanded) == (cells.baselines, cells.expanded)
    weights, crops = build(study, "weights", "1000"), build(study, "crops", "1000")
    assert weights.expanded["n10"] == cells.expanded["reweighted"]
    assert weights.expanded["n10+weak"] == cells.expanded["adainf"]
    assert crops.baselines["crop-0.08"] == cells.baselines["simclr"], "it is trained once"
    assert {name for part in study.design.parts for name in list_automatic(build(study, part, "1000").baselines)} == {
        "simclr-auto"
    }


def test_the_page_compares_the_full_cell_with_each_arm_that_the_goal_names_above_simclr(study: Study) -> None:
    for name in ("cells", "poorer", "fifty", "fifty-poorer"):
        part = find_part(study, name)
        assert {("adainf", other) for other in ("simclr", "simclr+weak", "simclr+weaker")} <= set(list_pairs(part))
        assert part.drawn[0] == "simclr" and {*part.baselines, *part.expanded} - set(part.drawn) == {"supervised"}


def test_the_cells_come_first_and_every_part_has_three_seeds(study: Study) -> None:
    assert [name for name, part in study.design.parts.items() if part.turn == 1] == ["cells"]
    assert {part.seeds for part in study.design.parts.values()} == {(0, 1, 2)}
    trainers = {arm.trainer.kind for arm in build(study, "methods", "1000").expanded.values()}
    assert trainers == {"moco", "byol", "barlow_twins"} and list(find_part(study, "methods").settings) == ["1000"]
