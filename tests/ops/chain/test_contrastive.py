"""A chain with arms that learn without labels, on real images and on both: trained, judged, and what is shown."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ops.chain.parts.visits import count
from ops.classifiers.examples import Examples
from ops.classifiers.runs import Contest
from ops.files.outputs import RESULTS, VERDICT
from ops.files.storage import read_json
from ops.recipe.arms import Arm
from ops.recipe.classifiers import ClassifierSettings
from ops.recipe.grid import Setting
from tests.priors import change_recipe
from tests.workspaces import growset, make_workspace, one_core

SIMCLR: dict[str, Any] = {"trainer": {"kind": "simclr", "batch_size": 24}, "strength": 0.4}


def open_contest(**arms: dict[str, Any]) -> Contest:
    marks = np.arange(30) >= 10
    examples = Examples(np.zeros((30, 1, 4, 4), np.uint8), np.zeros(30, np.int64), np.where(marks, 1.0, 4.0), marks)
    return Contest(
        {name: Arm.model_validate(keys) for name, keys in arms.items()}, (examples,), 0,
        (np.zeros((2, 1, 4, 4), np.uint8), np.zeros(2, np.int64)),
        ClassifierSettings(steps=20, batch_size=12), "accuracy", 2, Path("unused"),
    )  # fmt: skip


def test_visits_follow_from_batch_steps_and_weights_and_are_told_of_such_arms_alone() -> None:
    contest = open_contest(
        plain={"real_weight": 3.0}, simclr=SIMCLR, even={**SIMCLR, "beta": 0.5}, beta={"beta": 0.25, "finish": 0.5}
    )
    assert count(contest, "plain") is None
    simclr, even, beta = (count(contest, name) for name in ("simclr", "even", "beta"))
    assert simclr is not None and even is not None and beta is not None
    assert simclr.share == pytest.approx(40 / 60) and simclr.per_real == pytest.approx(20 * 24 * 2 / 3 / 10)
    assert simclr.real_per_batch == (16, 16) and (simclr.batch_size, simclr.views) == (24, 2)
    assert even.per_real == 24 and even.per_generated == 12
    assert beta.per_real == pytest.approx((10 * 12 * 0.25 + 10 * 12) / 10) and beta.per_generated == 4.5
    assert beta.real_per_batch is None and beta.views == 1
    longer = count(contest, "simclr", Setting((("steps", 40), ("real_weight", 2.0))))
    assert longer is not None and longer.steps == 40 and longer.share == 0.5
    alone = replace(contest, training=(replace(contest.training[0], is_generated=None),))
    shown = count(alone, "simclr")
    assert shown is not None and shown.per_real == 16 and shown.per_generated is None


@pytest.mark.slow
def test_baselines_and_expanded_arms_are_trained_judged_and_found_again(tmp_path: Path) -> None:
    root = make_workspace(tmp_path / "workspace")
    other = {"trainer": {"kind": "byol", "batch_size": 24}}
    change_recipe(
        root,
        "digits",
        baselines={"real": {}, "simclr": SIMCLR, "byol": other, "gentle": {"strength": 0.5}},
        expanded={
            "expanded": {"beta": 0.4},
            "adainf": {**SIMCLR, "real_weight": 10.0},
            "moved": {**other, "beta": 0.5},
        },
    )
    with one_core():
        result = growset(root, "run", "digits", "--workers", "1")
    assert result.exit_code == 0, result.output
    assert "simclr: each of 32 real images is shown 15 times" in result.output
    assert "adainf: offline probe" in result.output and "nearest neighbours" in result.output
    data = root / "data" / "digits"
    baselines, expanded = (
        read_json(data / stage / RESULTS)["arms"] for stage in ("baseline_classifiers", "expanded_classifiers")
    )
    assert set(baselines["simclr"]["diagnostics"]) == {"online_probe", "nearest_neighbours"}
    assert not {"visits", "diagnostics"} & set(baselines["gentle"])
    shown = expanded["adainf"]["visits"]
    assert shown["share"] == pytest.approx(320 / (320 + shown["generated_images"]), abs=1e-6)
    assert expanded["moved"]["visits"]["real_per_batch"] == [12, 12]
    assert expanded["expanded"]["visits"]["share"] == 0.4
    verdict = read_json(data / "verdict" / VERDICT)
    assert verdict["budget"] == {"steps": 20, "batch_size": 16, "largest_batch": 24}
    assert "20 steps of batch 16 (without labels up to 24)" in verdict["sentence"]
    costs = {row["arm"]: row["cost"] for row in verdict["arms"]}
    assert costs["simclr"] == costs["adainf"] == 3 and costs["byol"] == 4 and costs["gentle"] == 1
    again = growset(root, "run", "digits")
    assert again.exit_code == 0 and "digits: unchanged" in again.output
