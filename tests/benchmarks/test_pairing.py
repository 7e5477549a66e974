"""The pairing benchmark times each side once a round."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from benchmarks import pairing


def test_every_side_has_one_turn_a_round_and_is_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pairing, "UNMEASURED", 1)
    orders = [[pairing.find_side(8 * round_ + turn) for turn in range(8)] for round_ in range(3)]
    assert all(sorted(order) == list(range(len(pairing.SIDES))) for order in orders)
    assert len({tuple(order) for order in orders}) == 3
    used: list[str] = []

    def record(kind: str, pair: Callable[..., Any]) -> Callable[..., Any]:
        def answer(*given: Any) -> Any:
            used.append(kind)
            return pair(*given)

        return answer

    for kind, part in pairing.PARTS.items():
        monkeypatch.setattr(part, "pair", record(kind, part.pair))
    steps, inside = pairing.time_steps(pairing.make_noise((1, 8, 8)), rounds=1)
    assert steps.shape == inside.shape == (1, 8) and (steps > inside).all() and (inside > 0).all()
    kinds = ["none"] + ["mixup"] * 3 + ["cutmix"] * 3 + ["samplepairing"]
    assert used == [kinds[side] for side in np.ravel(orders[:2])]
