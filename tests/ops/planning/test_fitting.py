"""Steps for a given time: one factor, floors, and a refusal where even the floors take longer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from ops.planning.fitting import FLOORS, fit_steps, round_steps, scale_steps
from ops.recipe.changes import change_recipe
from ops.recipe.loading import load_recipe
from tests.workspaces import ROOT

DEMO = ROOT / "recipes" / "fashion-flow.yaml"
SEARCHED: dict[str, Any] = {
    "tuning.policy": True,
    "tuning.most_steps": 1600,
    "classifier.steps": 400,
    "baselines.augmented.augmentation": "auto",
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The demo's recipe, with a search of policies."""
    from ops.recipe.changes import write_changes

    path = tmp_path / "demo.yaml"
    path.write_bytes(DEMO.read_bytes())
    write_changes(path, SEARCHED)
    return path


def make_estimate(path: Path) -> Callable[[Mapping[str, Any]], float]:
    """A second for every ten steps of anything, and a minute of work besides."""

    def estimate(changes: Mapping[str, Any]) -> float:
        recipe = change_recipe(path, changes)[0]
        search = recipe.tuning.steps or recipe.classifier.steps
        steps = search + recipe.scorer.steps + recipe.classifier.steps + recipe.generator.steps  # type: ignore[attr-defined]
        return 60 + steps / 10

    return estimate


@pytest.mark.parametrize("seconds", [160, 300, 2_000, 40_000])
def test_the_time_is_used_and_the_balance_stays(path: Path, seconds: float) -> None:
    recipe, estimate = load_recipe(path), make_estimate(path)
    found = fit_steps(recipe, seconds, estimate)
    assert found is not None
    assert 0.85 * seconds <= estimate(found) <= seconds
    fitted = change_recipe(path, found)[0]
    factor = found["generator.steps"] / recipe.generator.steps  # type: ignore[attr-defined]
    for key, before in (("scorer.steps", recipe.scorer.steps), ("classifier.steps", recipe.classifier.steps)):
        assert found[key] >= min(before, FLOORS[key])
        assert found[key] == pytest.approx(max(FLOORS[key], factor * before), rel=0.15)
    assert (fitted.tuning.most_steps or 0) >= fitted.classifier.steps


def test_the_search_goes_on_to_its_own_floor(path: Path) -> None:
    least = scale_steps(load_recipe(path), 0.0)
    assert least["tuning.steps"] == FLOORS["tuning.steps"] < least["classifier.steps"] == FLOORS["classifier.steps"]
    assert least["tuning.most_steps"] == least["classifier.steps"]
    assert scale_steps(load_recipe(path), 2.0)["tuning.steps"] is None, "as long as the arms' trainings, as before"


def test_too_little_time_is_refused(path: Path) -> None:
    recipe, estimate = load_recipe(path), make_estimate(path)
    least = estimate(scale_steps(recipe, 0.0))
    assert fit_steps(recipe, least - 0.1, estimate) is None
    found = fit_steps(recipe, least, estimate)
    assert found is not None and estimate(found) == least


def test_a_recipe_below_the_floors_may_stay_there() -> None:
    smoke = load_recipe(ROOT / "recipes" / "smoke.yaml")
    assert scale_steps(smoke, 0.0) == {"scorer.steps": 30, "classifier.steps": 30, "generator.steps": 60}


def test_values_of_the_grid_follow(path: Path) -> None:
    recipe, _ = change_recipe(path, {"classifier.grid.steps": [400, 800], "tuning.most_steps": None})
    changes = scale_steps(recipe, 2.0)
    assert changes["classifier.grid.steps"] == [800, 1600]
    assert change_recipe(path, {"tuning.most_steps": None, **changes})[0].classifier.grid.steps == (800, 1600)


@pytest.mark.parametrize(("steps", "rounded"), [(0.4, 0), (7.9, 7), (99.9, 99), (123.4, 120), (1999, 1900)])
def test_two_digits(steps: float, rounded: int) -> None:
    assert round_steps(steps) == rounded
