"""A side's arms on their way to the tournament: what the controller settled, and one reading of the images for both."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from ops.chain.parts import classifiers
from ops.chain.parts.classifiers import BASELINES, train_arms
from ops.chain.parts.controlled import Settled
from ops.classifiers.examples import Examples
from ops.classifiers.runs import Contest
from ops.datasets.pixels import write_shards
from ops.recipe.arms import Arm
from ops.recipe.automatic import settle_arm
from ops.recipe.classifiers import ClassifierSettings
from ops.stages.materialization import Runtime
from ops.workspaces.workspace import Workspace
from tests.workspaces import digit_splits, make_folder

TAUGHT = {"targets": {"kind": "teacher", "of": "gentle"}}


class Held(Exception):
    """The tournament would begin."""


def test_the_arms_that_the_controller_settled_are_trained_on_the_images_of_its_races(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, splits = make_folder(tmp_path / "workspace"), digit_splits()
    real, read, raced, held = tmp_path / "real", list[str](), list[Contest](), list[Contest]()
    for name, split in splits.items():
        write_shards(real, split, prefix=name)
    keys: dict[str, Any] = {"gentle": {"strength": "auto"}, "again": {"strength": "auto"}, "real": {}, "taught": TAUGHT}
    arms = {name: Arm.model_validate(each) for name, each in keys.items()}
    settings = ClassifierSettings(steps=20, seeds=2)

    def settle(run: Any, contest: Contest) -> Settled:
        raced.append(contest)
        found = {name: settle_arm(arm, strength=0.5) if arm.strength else arm for name, arm in contest.arms.items()}
        return Settled(found, {})

    def hold(contest: Contest, **_: Any) -> None:
        held.append(contest)
        raise Held

    real_split = classifiers.read_split
    monkeypatch.setattr(classifiers, "read_split", lambda at, split: (read.append(split), real_split(at, split))[1])
    monkeypatch.setattr(classifiers, "find_metric", lambda run: "accuracy")
    monkeypatch.setattr(classifiers, "settle_automatic", settle)
    monkeypatch.setattr(classifiers, "hold_tournament", hold)
    run: Any = SimpleNamespace(
        stage=BASELINES, workspace=Workspace(root), inputs={"real_images": real}, out=tmp_path / "out",
        recipe=SimpleNamespace(classifier=settings, seed=3), scratch=tmp_path / "scratch", runtime=Runtime(workers=1),
    )  # fmt: skip
    train = splits["train"]
    examples = Examples(train.images.transpose(0, 3, 1, 2), train.labels, np.ones(len(train)))
    with pytest.raises(Held):
        train_arms(run, arms, [examples], None)
    (before,), (after,) = raced, held
    assert read == ["validation"]
    assert list(before.arms) == ["real", "again", "gentle", "taught"] and before.teachers == {}
    # `gentle` is the same as `again` by now, and who is taught comes in the next round.
    assert {name: arm.strength for name, arm in after.arms.items()} == {"real": None, "again": 0.5}
    assert after.teachers == {"gentle": run.out / "again.safetensors"} and after.needed == ["again"]
    same = replace(after, arms=before.arms, teachers={}, needed=before.needed, seeing=before.seeing)
    assert same == before
