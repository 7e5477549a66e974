"""The theory benchmark runs every panel of the paper on both sides."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import theory
from benchmarks.parts import harness


def test_both_sides_run_all_panels_and_the_result_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert [len(settings) for settings in theory.PANELS.values()] == [5, 5, 2]
    small = {"panel": [(1, 4, (0, 1)), (3, 6, (0, 2))]}
    monkeypatch.setattr(theory, "PANELS", small)
    monkeypatch.setattr(harness, "RESULTS", tmp_path)
    ran: list[tuple[int, int, int]] = []
    loop = theory.repeat_plainly

    def record(dim: int, real: int, gammas: tuple[int, ...], *, repeats: int, seed: int) -> object:
        ran.append((dim, real, repeats))
        return loop(dim, real, gammas, repeats=repeats, seed=seed)

    monkeypatch.setattr(theory, "repeat_plainly", record)
    found = json.loads(theory.run().read_text())
    assert ran == [(1, 4, 10), (3, 6, 10)] * (theory.ROUNDS + 1)
    assert found["ratios"].keys() == {"gmm_seconds", "gmm_vs_loop"}
    assert found["ratios"]["gmm_vs_loop"] > 0
