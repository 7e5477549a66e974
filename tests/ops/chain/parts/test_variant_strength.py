"""`strength: auto`: the widest strength that the gate lets pass, of a generator whose noise grows with the strength."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from ops.chain.parts import variant_strength
from ops.chain.parts.variant_strength import STRENGTHS, choose_strength
from ops.files.storage import write_json
from ops.recipe.sampler import SamplerSettings
from tests.sides import NAMES, SIDE, SideScorer, make_sides

TRAIN = make_sides(80, 1)


class Noisy:
    """Adds `levels` times the strength of noise to an image."""

    def __init__(self, levels: float) -> None:
        self.levels = levels
        self.config = {"class_names": NAMES, "channels": 1, "height": SIDE, "width": SIDE}

    def sample(self, feeds: Mapping[str, Tensor], sampler: SamplerSettings) -> Tensor:
        strength = 1.0 if sampler.strength is None else sampler.settled_strength
        assert strength is not None
        noise = feeds["noise"].permute(0, 2, 3, 1) * self.levels * strength
        return (feeds["image"] + noise).clamp(0, 255).to(torch.uint8)


class NoisyKind:
    """Hashable, as the kinds are."""

    def __init__(self, levels: float) -> None:
        self.levels = levels

    def load(self, folder: Path) -> Noisy:
        return Noisy(self.levels)


def choose(
    folder: Path, monkeypatch: pytest.MonkeyPatch, levels: float, **keys: Any
) -> tuple[SamplerSettings, list[dict[str, Any]], list[str]]:
    write_json(folder / "config.json", {"kind": "noisy", "class_names": list(NAMES)})
    monkeypatch.setattr(variant_strength, "KINDS", {"noisy": NoisyKind(levels)})
    monkeypatch.setattr(variant_strength, "load_scorer", lambda folder: SideScorer(np.arange(80) % 2))
    sampler, lines = SamplerSettings(**{"strength": "auto", **keys}), list[str]()
    found, tried = choose_strength(folder, sampler, folder, TRAIN, sink=lines.append)
    return found, tried, lines


def test_a_number_is_kept_and_nothing_is_tried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for strength in (0.3, None):
        found, tried, lines = choose(tmp_path, monkeypatch, 900.0, strength=strength)
        assert (found.strength, tried, lines) == (strength, [], [])


def test_mild_variants_take_all_of_the_random_style(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found, tried, lines = choose(tmp_path, monkeypatch, 12.0)
    assert found.strength is None and [trial["strength"] for trial in tried] == [1.0]
    assert lines[-1] == "generator_onnx: strength 1 is used"


def test_the_widest_strength_that_refuses_no_class_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found, tried, lines = choose(tmp_path, monkeypatch, 200.0)
    assert [trial["strength"] for trial in tried] == list(STRENGTHS[: len(tried)]) and 1 < len(tried) < len(STRENGTHS)
    assert found.strength == tried[-1]["strength"] and tried[-1]["refused"] == 0 and tried[-1]["kept"] >= 0.9
    assert all(trial["refused"] > 0 for trial in tried[:-1])
    moved = [trial["moved"] for trial in tried]
    assert moved == sorted(moved, reverse=True)
    assert len(lines) == len(tried) + 1


def test_where_every_strength_refuses_classes_the_fewest_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found, tried, _ = choose(tmp_path, monkeypatch, 12.0, moves=100.0)  # no strength moves so far
    assert [trial["strength"] for trial in tried] == list(STRENGTHS)
    assert {trial["refused"] for trial in tried} == {2} and found.strength is None  # the widest of equals


def test_an_unsettled_strength_draws_nothing() -> None:
    with pytest.raises(ValueError, match="before the gate has chosen a number"):
        _ = SamplerSettings(strength="auto").settled_strength
