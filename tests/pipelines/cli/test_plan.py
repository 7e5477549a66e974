"""The cost of several generators and of a second look, for a kind of known cost."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from ops.generators.denoiser_kind import DenoiserKind
from ops.generators.protocol import Cost
from ops.planning import cost as estimate
from ops.recipe.loading import load_recipe
from ops.workspaces.workspace import Workspace
from pipelines.cli.plan import collect_plan, fit_minutes, format_plan

Edit = Callable[[Path, str, str], None]
FIT, STEP, IMAGE = 16.0, 0.1, 0.25  # 60 steps of 0.1 s and 10 s that follow them


@pytest.fixture
def root(fresh_workspace: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(DenoiserKind, "estimate", lambda *_: Cost(FIT, STEP, IMAGE))
    return fresh_workspace


def test_seconds_and_bytes_count_every_generator(root: Path, edit_recipe: Edit) -> None:
    one = collect_plan(Workspace(root), "digits")
    edit_recipe(root, "generator: {", "generator: {seeds: 2, ")
    two = collect_plan(Workspace(root), "digits")
    assert (one["generators"], two["generators"]) == (1, 2)
    assert one["seconds"]["generator"] == FIT
    for stage in ("generator", "generator_onnx", "generated_images"):
        assert two["seconds"][stage] == pytest.approx(2 * one["seconds"][stage])
    assert two["bytes"] == 2 * one["bytes"]
    assert one["drawn"] == two["drawn"] == 96
    assert ", 2 generators, each with a set as above" in format_plan(two)
    assert "generators" not in format_plan(one)


def test_minutes_are_those_of_all_generators(root: Path, edit_recipe: Edit) -> None:
    edit_recipe(root, "generator: {", "generator: {seeds: 2, ")
    assert fit_minutes(Workspace(root), "digits", 1.0).endswith("60 -> 200, 100 ms each, 2 generators")
    assert load_recipe(root / "recipes" / "digits.yaml").generator.steps == 200  # type: ignore[attr-defined]


def test_a_second_look_counts_with_its_longest_time(
    root: Path, edit_recipe: Edit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(estimate, "_seconds_per_step", lambda run: 0.5)
    edit_recipe(root, "seeds: 2}", "seeds: 5}")
    one = collect_plan(Workspace(root), "digits")
    edit_recipe(root, "verdict: {}", "verdict: {looks: 2}")
    two = collect_plan(Workspace(root), "digits")
    trainings = 3 * 5  # each arm's seeds once more, of 20 steps
    assert two["seconds"]["verdict"] >= trainings * 20 * 0.5 / two["cores"] > one["seconds"]["verdict"]
    assert (
        two["seconds"]["baseline_classifiers"]
        == one["seconds"]["baseline_classifiers"]
        == pytest.approx(2 * 5 * 20 * 0.5 / one["cores"])
    )
    assert "at most: with a second look" in format_plan(two)
    assert "second look" not in format_plan(one)


def test_folds_repeat_every_stage(root: Path, edit_recipe: Edit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(estimate, "_seconds_per_step", lambda run: 0.5)
    edit_recipe(root, "data: {images_per_class: 16}", "data: {}")
    edit_recipe(root, "verdict: {}", "verdict: {folds: 4}")
    seconds = collect_plan(Workspace(root), "digits")["seconds"]
    folds = seconds.pop("folds")
    assert folds == pytest.approx(4 * sum(seconds.values()), rel=0.05)  # and the answers to the test images
