"""Batches of a step that are drawn once, and ahead."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from ops.generators.adversarial.ahead import Ahead


def test_a_batch_is_drawn_once_for_both_losses_and_for_the_step_after_it() -> None:
    drawn: list[int] = []

    def draw(step: int) -> Any:
        drawn.append(step)
        return SimpleNamespace(step=step)

    batches = Ahead(draw)
    first = batches.find(0)
    batches.prepare(1)
    assert batches.find(0) is first
    second = batches.find(1)
    assert second.step == 1 and batches.find(1) is second and drawn == [0, 1]
    assert batches.find(5).step == 5 and drawn == [0, 1, 5], "a step that nobody prepared, as after a resume"
