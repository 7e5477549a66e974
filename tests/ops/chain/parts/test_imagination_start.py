"""What is asked before anything is imagined: a scorer near chance, a score without a gradient, and what is recorded."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from ops.chain.parts import imagination_start as module
from ops.chain.parts.imagination_start import Start, start_imagination, time_imagination, write_imagination
from ops.chain.parts.imagined_drawer import read_imagined
from ops.chain.parts.imagining_preset import build_preset
from ops.datasets.pixels import PixelDataset, read_shards
from ops.errors import UserError
from ops.files.outputs import IMAGINATION, IMAGINATION_FACTS
from ops.files.storage import read_json, write_json
from ops.imagination.presets import CORRECTED, PAPER, PRESETS, RELEASE
from ops.imagination.projection import Ball
from ops.judging.scorer import Scorer
from ops.recipe.imagination import ImaginationSettings
from ops.recipe.sampler import SamplerSettings
from ops.recipe.scorers import ClipScorer
from tests.priorfolders import LABELS, write_prior, write_scorer, write_seeds


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_prior(tmp_path / "latent", "latent")
    write_scorer(tmp_path / "scorer")
    write_seeds(tmp_path / "real")
    return tmp_path


def start(root: Path, strength: Any = 0.5, **settings: Any) -> tuple[Start, PixelDataset, list[str]]:
    sampler = SamplerSettings(solver="heun", steps=2, strength=strength, imagination=ImaginationSettings(**settings))
    shards, lines = sorted((root / "real").iterdir()), list[str]()
    train = read_shards(shards)
    found = start_imagination(
        root / "latent", sampler, root / "scorer", shards, train, root=root, scratch=root, sink=lines.append
    )
    return found, train, lines


@pytest.mark.parametrize(("mode", "other"), [("guided", "random"), ("overdraw", "prior")])
def test_a_scorer_near_chance_decides_nothing_unless_it_is_forced(root: Path, mode: str, other: str) -> None:
    found, train, lines = start(root, mode=mode)
    assert found.sampler.imagination is not None and found.sampler.imagination.mode == other
    assert f"it is near chance, so guidance by it is noise; mode: {other} takes the place of {mode}" in lines[-1]
    write_imagination(root / "latent", found, found.sampler, train, seed=1)
    recorded = read_json(root / "latent" / IMAGINATION_FACTS)
    assert (recorded["asked"], recorded["mode"], recorded["preset"]) == (mode, other, "corrected")
    assert recorded["why"] in lines[-1] and recorded["scorer"]["near_chance"]
    forced = start(root, mode=mode, force=True)[0]
    assert forced.sampler.imagination is not None and forced.sampler.imagination.mode == mode and forced.why is None


def test_what_was_settled_is_read_again_where_images_are_drawn(root: Path) -> None:
    found, train, _ = start(root, strength="auto", group=2, force=True)
    settled = found.sampler.model_copy(update={"strength": 0.4})
    write_imagination(root / "latent", found, settled, train, seed=1)
    shards = sorted((root / "real").iterdir())
    again = read_imagined(root / "latent", root / "scorer", shards)
    expected = found.place(root / "latent", settled)
    assert (again.data, again.shards) == (expected.data, expected.shards)
    for key in ("solver", "steps", "guidance", "strength"):
        assert getattr(again.sampler, key) == getattr(settled, key)
    assert again.imagining.describe((3, 2, 2)) == expected.imagining.describe((3, 2, 2)) and again.imagining.group == 2
    assert settled.imagination is not None
    named = settled.imagination.model_copy(update={"scorer": ClipScorer(model="clip", class_names={"a": "one"})})
    placed = found.place(root / "latent", settled.model_copy(update={"imagination": named}))
    assert placed == expected and hash(placed) == hash(expected), "workers keep a drawer by its hash"
    timing = time_imagination(again, train, found)
    assert timing.own > 0 and timing.plain > 0 and "s on one core" in timing.describe()


def test_only_a_clip_reads_images_as_the_release_gave_them(root: Path) -> None:
    """Levels of 0..1 are none that the scorer of the stage has learnt on: it answers at chance then."""
    found, train, _ = start(root, preset="release", force=True)
    preset = found.place(root / "latent", found.sampler.model_copy(update={"strength": 0.4})).imagining.preset
    assert (preset.seed_input, preset.variant_input, found.data) == ("own", "own", None)
    clip = ImaginationSettings(preset="release", scorer=ClipScorer(model="clip"))
    preset, data = build_preset(clip), module._find_statistics(clip, train)
    assert (preset.seed_input, preset.variant_input) == (RELEASE.seed_input, RELEASE.variant_input) == ("data", "none")
    assert data is not None
    np.testing.assert_allclose(data, [[train.images.mean() / 255], [train.images.std() / 255]], atol=1e-6)


def test_a_paper_whose_parts_are_remembered_says_so(root: Path) -> None:
    found, train, _ = start(root, preset="paper", force=True)
    write_imagination(root / "latent", found, found.sampler, train, seed=1)
    told = read_json(root / "latent" / IMAGINATION_FACTS)["unverified"]
    assert "medium confidence" in told[0] and "groups of 5" in told[1] and len(told) == len(PAPER.unverified)


def write(root: Path, monkeypatch: pytest.MonkeyPatch, changed: dict[str, Any] | None = None, **settings: Any) -> Any:
    """imagination.json and all facts of a recipe with these settings; `changed` keys of its sampler."""
    monkeypatch.setattr(module, "write_sheet", lambda path, rows: None)
    found, train, _ = start(root, mode="random", **settings)
    sampler = found.sampler.model_copy(update=changed or {})
    write_imagination(root / "latent", found, sampler, train, seed=1)
    return [read_json(root / "latent" / name) for name in (IMAGINATION, IMAGINATION_FACTS)]


def test_images_follow_from_the_values_and_not_from_how_the_recipe_puts_them(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual, facts = write(root, monkeypatch)
    for changed, settings in (
        ({"moves": 9.0, "keeps": 0.1, "usable_from": None}, {}),  # thresholds
        (None, {"radius": 0.8, "norm": "linf", "granularity": "channel", "group": 5}),  # the preset's values
    ):
        assert write(root, monkeypatch, changed, **settings)[0] == usual
    assert {"scorer", "asked", "why", "ways", "shown"} <= set(facts) and not set(facts) & {"sampler", "statistics"}
    assert write(root, monkeypatch, {"steps": 3})[0] != usual
    changed = replace(CORRECTED, ball=Ball(0.7))
    monkeypatch.setitem(PRESETS, "corrected", changed)
    assert write(root, monkeypatch)[0]["preset"]["ball"]["radius"] == 0.7  # a preset that changes draws anew


def test_the_sheet_shows_images_of_the_runs_seed(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sheets = list[Any]()
    monkeypatch.setattr(module, "write_sheet", lambda path, rows: sheets.append(np.stack(rows)))
    found, train, _ = start(root, mode="prior")
    for seed in (1, 2, 1):
        write_imagination(root / "latent", found, found.sampler, train, seed=seed)
    assert (sheets[0] != sheets[1]).any()
    np.testing.assert_array_equal(sheets[0], sheets[2])


def test_a_generator_with_the_classes_in_another_order_is_refused(root: Path) -> None:
    config = read_json(root / "latent" / "config.json")
    write_json(root / "latent" / "config.json", config | {"class_names": ["a", "c", "b"]})
    with pytest.raises(UserError, match="the generator has the classes in another order: class 1 is 'c' there and 'b'"):
        start(root, mode="random")


def test_a_score_without_a_gradient_is_told_before_anything_is_drawn(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # All seed images are named rightly.
    monkeypatch.setattr(Scorer, "examine", lambda self, images, networks: (np.eye(3)[list(LABELS)], []))
    start(root, radius=3.0)  # has one
    with pytest.raises(
        UserError, match="imagination cannot be guided: the score's gradient .* may clamp every element"
    ):
        start(root, radius=1e-6)
    path = root / "scorer" / "scorer.safetensors"
    dead = {name: torch.zeros_like(value) if "head" in name else value for name, value in load_file(path).items()}
    save_file(dead, path)
    with pytest.raises(UserError, match="imagination cannot be guided"):
        start(root, radius=3.0, diversity=0.0)
