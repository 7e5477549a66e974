"""The stage `training_policy` in a real workspace: what it writes, who uses it, and that a killed search goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ops.chain.driver import Chain
from ops.chain.training_policy import explain_search
from ops.classifiers.stored import load_classifier
from ops.files.outputs import POLICY, SEARCH
from ops.files.storage import read_json
from ops.recipe.arms import SmallResNet
from ops.recipe.settling import read_policy
from ops.stages.materialization import Runtime
from ops.tuning import trials
from ops.tuning.factors import Choice, list_factors, list_networks
from ops.tuning.search import Found, Gain, Length
from ops.workspaces.workspace import Workspace
from tests.workspaces import make_workspace

FEWEST = 18 + (1 + 6) + 3  # trainings of the screen, of confirmation and challenge where all is clear on one fold
MOST = 18 + 2 * (1 + 6) + 3 + 1 + 2 * (1 + 2)  # on both folds, with all changes together, and two lengths


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace whose recipe chooses, and whose stage `training_policy` was killed after 20 trainings once."""
    root = make_workspace(tmp_path_factory.mktemp("policy") / "workspace")
    path = root / "recipes" / "digits.yaml"
    text = path.read_text()
    text = text.replace("tuning: {}", "tuning: {policy: true, steps: 4, most_steps: 40, folds: 2}")
    text = text.replace("  oversampled:", "  augmented: {augmentation: auto}\n  oversampled:")
    path.write_text(text.replace("scorer: {", "scorer: {augmentation: auto, "))
    return root


def test_a_killed_search_goes_on_and_its_choice_is_used(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trained: list[Any] = []
    train = trials.train

    def count(*arguments: Any, **keys: Any) -> Any:
        if len(trained) == 20:
            trained.append(None)
            raise KeyboardInterrupt
        trained.append(arguments[1])
        return train(*arguments, **keys)

    lines: list[str] = []
    chain = Chain(Workspace(root), Runtime(workers=1, sink=lines.append))
    monkeypatch.setattr(trials, "train", count)
    with pytest.raises(KeyboardInterrupt):
        for stage in ("real_images", "training_policy"):
            chain.run("digits", stage)
    del trained[20:]
    trained.append(None)  # so that it is not killed again
    chain.run("digits", "training_policy")
    assert FEWEST <= len(trained) - 1 <= MOST

    folder = Workspace(root).output("digits", "training_policy")
    policy, search = read_policy(read_json(folder / POLICY)), read_json(folder / SEARCH)
    assert policy is not None
    assert policy.steps in (20, 40)
    assert list(search["levels"]) == ["flip", "geometry", "colour", "erasing", "texture", "input", "randaugment"]
    assert [gain["factor"] for gain in search["gains"]] == list(search["levels"])
    assert search["lengths"][0]["steps"] == 20
    assert sum(": flip: on " in line for line in lines) == 1

    for stage in ("scorer", "prior", "baseline_classifiers"):
        chain.run("digits", stage)
    stored = Workspace(root).output("digits", "baseline_classifiers") / "augmented.safetensors"
    assert load_classifier(stored, 0).description["network"]["standardise"] == policy.standardise
    results = read_json(Workspace(root).output("digits", "baseline_classifiers") / "results.json")
    assert results["steps"] == policy.steps
    config = read_json(Workspace(root).output("digits", "scorer") / "config.json")
    assert config["network"]["standardise"] == policy.standardise


def test_a_recipe_that_chooses_nothing_gets_an_empty_policy(tmp_path: Path) -> None:
    chain = Chain(Workspace(make_workspace(tmp_path / "workspace")), Runtime(workers=1))
    for stage in ("real_images", "training_policy"):
        chain.run("digits", stage)
    assert read_policy(read_json(chain.workspace.output("digits", "training_policy") / POLICY)) is None


def test_the_log_says_what_each_choice_is_worth() -> None:
    factors = list_factors(3, list_networks(32, SmallResNet()))
    choice = Choice(tuple((factor.name, 0) for factor in factors)).replace("colour", 2).replace("network", 2)
    gains = (
        Gain("flip", 1, 0, -0.061, 0.012), Gain("colour", 2, 0, 0.2, 0.02), Gain("network", 2, 0, 0.03, 0.01),
        Gain("randaugment", 2, 0, -0.01, 0.02),
    )  # fmt: skip
    found = Found(choice, 800, 0.9, gains, (Length(400, 0.85), Length(800, 0.9)))
    assert explain_search(factors, found) == [
        "flip: on costs 6.1 points against off (standard error 1.2); chosen: off",
        "colour: strong gains 20.0 points against off (standard error 2.0); chosen: strong",
        "network: half resolution, wide gains 3.0 points against half resolution (standard error 1.0);"
        " chosen: half resolution, wide",
        "randaugment: magnitude 8 costs 1.0 points against composed policy (standard error 2.0);"
        " chosen: composed policy",
        "steps, with mixup: 85.0 % after 400, 90.0 % after 800; chosen: 800",
    ]
