"""The guidance benchmark steps real trainings in turn, one at a time, and times each once a round."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from benchmarks import guidance
from ops.classifiers import lessons
from ops.recipe.arms import SmallResNet
from ops.recipe.classifiers import ClassifierSettings


def test_every_side_takes_one_step_a_round_and_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[str] = []

    def record(prepare: Callable[..., Any]) -> Callable[..., Any]:
        def note(self: lessons.Lessons, step: int) -> Any:
            arm = self.training.arm
            taken.append(
                arm.separate or {"teacher": "taught", "ema": "views"}.get(arm.targets.kind, arm.consistency.kind)
            )
            return prepare(self, step)

        return note

    small = ClassifierSettings(network=SmallResNet(width=8), batch_size=8).model_dump()
    monkeypatch.setattr(guidance, "ClassifierSettings", lambda **keys: ClassifierSettings(**{**small, **keys}))
    monkeypatch.setattr(guidance, "UNMEASURED", 1)
    monkeypatch.setattr(lessons.Lessons, "prepare", record(lessons.Lessons.prepare))
    found = guidance.time_steps(guidance.make_noise((1, 8, 8)), rounds=2)
    assert found.shape == (2, len(guidance.SIDES)) and (found > 0).all()
    kinds = sorted(["none", "taught", "taught", "ema", "norm"])
    assert [sorted(taken[place : place + 5]) for place in (0, 5, 10)] == [kinds] * 3 and len(taken) == 15


def test_a_fault_of_a_training_reaches_the_benchmark() -> None:
    def fail(on_step: Callable[[int, float], None]) -> None:
        on_step(1, 0.5)
        raise ArithmeticError("no more")

    steps = guidance.Steps(fail)
    assert steps.take() >= 0
    with pytest.raises(ArithmeticError, match="no more"):
        steps.take()
