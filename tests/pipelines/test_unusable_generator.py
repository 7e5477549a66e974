"""A generator that has not learnt: nothing is generated, the baselines are trained, and the run says why."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from ops.files.storage import read_json
from ops.workspaces.workspace import Workspace
from tests.workspaces import growset, one_core


@pytest.mark.slow
def test_nothing_is_generated_and_the_baselines_are_trained(
    fresh_workspace: Path, edit_recipe: Callable[[Path, str, str], None]
) -> None:
    edit_recipe(fresh_workspace, "usable_from: null", "usable_from: 0.55")
    workspace = Workspace(fresh_workspace)
    for _ in range(2):  # the second time everything is current, and the answer is the same
        with one_core():
            result = growset(fresh_workspace, "run", "digits")
        assert result.exit_code == 1
        assert "generator_is_usable: generator not used: its images lie " in result.output
        assert "what would help: more steps (it took 60)" in result.output
        assert not workspace.output("digits", "generated_images").exists()
        assert (workspace.output("digits", "baseline_classifiers") / "results.json").exists()
    usability = read_json(workspace.output("digits", "generator_onnx") / "usability.json")
    assert not usability["usable"]
    # Allowed by hand, the same generator draws.
    edit_recipe(fresh_workspace, "usable_from: 0.55", "usable_from: null")
    with one_core():
        for stage in ("generator_onnx", "generated_images"):
            assert growset(fresh_workspace, "materialize", stage, "digits").exit_code == 0
