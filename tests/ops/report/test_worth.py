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
from ops.recipe.automatic import describe_settled, settle_arm
from ops.recipe.settling import TrainingPolicy
from ops.report.steps import Measured, rank_steps
from ops.report.worth import read_trained
from ops.verdict.worth.money import Prices
from tests.reports import make_verdict

PLAIN = {"augmentation": {"kind": "flip_crop", "strength": 0.0}}
NONE = {"augmentation": "none"}


def leave(root: Path, arms: Mapping[str, Mapping[str, Any]], strengths: Mapping[str, float]) -> dict[str, Path]:
    """The outputs of two stages: arms as a recipe has them, the strengths that the controller chose, and a policy."""
    inputs = {stage: root / stage for stage in ("baseline_classifiers", "training_policy")}
    written = {name: Arm.model_validate(keys) for name, keys in arms.items()}
    settled = {name: describe_settled(settle_arm(written[name], strength=each)) for name, each in strengths.items()}
    write_json(inputs["baseline_classifiers"] / RESULTS, {"settled": settled})
    write_json(inputs["baseline_classifiers"] / MANIFEST, {
        "stage": "baseline_classifiers", "version": 1, "fingerprint": "f", "inputs": {}, "files": {},
        "content": join_hashes({}), "metrics": {}, "environment": {},
        "settings": {"baselines": {name: arm.model_dump(mode="json") for name, arm in written.items()}},
    })  # fmt: skip
    policy = TrainingPolicy(FlipCrop(strength=0.0), "image", 60)
    write_json(inputs["training_policy"] / POLICY, policy.to_dict())
    return inputs


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
