"""Which arms the ranking of steps compares: those that were trained, whichever way the recipe wrote them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ops.files.manifests import MANIFEST, join_hashes
from ops.files.outputs import POLICY, RESULTS
from ops.files.storage import write_json
from ops.recipe.arms import Arm, FlipCrop
from ops.recipe.automatic import describe_settled, leave_out_generated, settle_arm
from ops.recipe.settling import TrainingPolicy
from ops.report.steps import Measured, rank_steps
from ops.report.worth import name_images, read_trained
from ops.verdict.worth.money import Prices
from tests.reports import make_verdict

PLAIN = {"augmentation": {"kind": "flip_crop", "strength": 0.0}}
NONE = {"augmentation": "none"}


def leave(root: Path, arms: Mapping[str, Mapping[str, Any]], strengths: Mapping[str, float]) -> dict[str, Path]:
    """The outputs of two stages: arms as a recipe has them, the strengths that the controller chose, and a policy."""
    written = {name: Arm.model_validate(keys) for name, keys in arms.items()}
    settled = {name: describe_settled(settle_arm(written[name], strength=each)) for name, each in strengths.items()}
    policy = TrainingPolicy(FlipCrop(strength=0.0), "image", 60)
    write_json(root / "training_policy" / POLICY, policy.to_dict())
    baselines = write_side(root, "baseline_classifiers", "baselines", written, settled)
    return {"baseline_classifiers": baselines, "training_policy": root / "training_policy"}


def write_side(root: Path, stage: str, section: str, arms: Mapping[str, Arm], settled: Mapping[str, Any]) -> Path:
    """The output of a stage that trained these arms."""
    write_json(root / stage / RESULTS, {"settled": settled})
    write_json(root / stage / MANIFEST, {
        "stage": stage, "version": 1, "fingerprint": "f", "inputs": {}, "files": {},
        "content": join_hashes({}), "metrics": {}, "environment": {},
        "settings": {section: {name: arm.model_dump(mode="json") for name, arm in arms.items()}},
    })  # fmt: skip
    return root / stage


def rank(inputs: Mapping[str, Path], picked: str) -> dict[str, dict[str, Any]]:
    """The rows on ingredients of the picked arm, where the arms are right on 4, 8, 12, … of 40 images."""
    baselines = read_trained(inputs)
    correct = {arm: np.tile(np.arange(40) < 4 * (number + 1), (2, 1)) for number, arm in enumerate(baselines)}
    verdict = make_verdict() | {"baseline": picked}
    labels = np.arange(40) % 4
    found = rank_steps(Measured(verdict, correct, labels, None, baselines, None, 0, True, None, Prices("")))
    return {row["name"]: row for row in found["rows"]}


def test_an_arm_whose_strength_settled_at_zero_is_not_said_to_mix_images(tmp_path: Path) -> None:
    arms = {"real": NONE, "still": {"strength": "auto"}}
    assert Arm.model_validate(arms["still"]).pairing.kind == "mixup", "as it is written"
    rows = rank(leave(tmp_path, arms, {"still": 0.0}), "still")
    assert rows["mixing images"]["state"] == "not measured" and "mixing images: mixup against none" not in rows
    assert rows["augmentation: flip_crop against none"]["gain"]["estimate"] == pytest.approx(0.1)


def test_arms_pair_by_what_they_do_however_they_are_written(tmp_path: Path) -> None:
    strong = Arm.model_validate({"strength": 0.5}).model_dump(mode="json")
    spelt = {"augmentation": strong["augmentation"]}
    rows = rank(leave(tmp_path / "spelt", {"plain": spelt, "mixed": {"strength": 0.5}}, {}), "mixed")
    row = rows["mixing images: mixup against none"]
    assert row["how"] == "mixed has it; measured as mixed against plain"
    assert row["gain"]["estimate"] == pytest.approx(0.1)
    chosen = leave(tmp_path / "chosen", {"plain": PLAIN, "mixed": {"augmentation": "auto", "pairing": "mixup"}}, {})
    assert rank(chosen, "mixed")["mixing images: mixup against none"]["gain"]["estimate"] == pytest.approx(0.1)


def test_an_arm_whose_generated_images_were_left_out_may_be_the_picked_baseline(tmp_path: Path) -> None:
    inputs = leave(tmp_path, {"real": NONE, "mixed": {}}, {})
    arms = {"own": Arm.model_validate({"real_weight": "auto", "pairing": "mixup"}), "expanded": Arm()}
    settled = {"own": describe_settled(leave_out_generated(arms["own"]))}
    inputs["expanded_classifiers"] = write_side(tmp_path, "expanded_classifiers", "expanded", arms, settled)
    assert list(read_trained(inputs)) == ["real", "mixed", "own"]
    assert rank(inputs, "own")["mixing images: mixup against none"]["state"] == "taken"


@pytest.mark.parametrize(
    ("arm", "said"),
    [
        ({}, "These 1,200 generated images"),
        ({"ratio": 1}, "The generated images of grown"),
        (
            {"targets": {"kind": "teacher", "of": "real", "images": "generated", "relabel": True}},
            "The generated images of grown",
        ),
    ],
)
def test_images_are_counted_where_the_challenger_learnt_from_all(tmp_path: Path, arm: Any, said: str) -> None:
    arms = {"grown": Arm.model_validate(arm)}
    inputs = {"expanded_classifiers": write_side(tmp_path, "expanded_classifiers", "expanded", arms, {})}
    assert name_images(inputs, {"challenger": "grown"}, 1200) == said
