"""A generator that was exported elsewhere, through the chain: pinned, imported, drawn from, reported as such."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from ops.chain.driver import Chain, validate
from ops.datasets.pixels import read_shards
from ops.datasets.shards import find_shards
from ops.errors import UserError
from ops.files.hashing import hash_file
from ops.files.manifests import read_manifest
from ops.files.storage import read_json
from ops.workspaces.workspace import Workspace
from tests.workspaces import growset


@pytest.fixture
def workspace(finished_workspace: Path) -> Workspace:
    """The digits workspace, using a copy of its own sampler as an external file."""
    path = finished_workspace / "models" / "foreign.onnx"
    path.parent.mkdir()
    path.write_bytes((finished_workspace / "data/digits/generator_onnx/sampler_1.onnx").read_bytes())
    recipe = finished_workspace / "recipes" / "digits.yaml"
    text = re.sub(
        r"(?m)^generator:.*$",
        f"generator: {{kind: onnx, path: models/foreign.onnx, sha256: {hash_file(path)}}}",
        recipe.read_text(),
    )
    recipe.write_text(re.sub(r"(?m)^sampler:.*$", "sampler: {usable_from: null}", text))
    return Workspace(finished_workspace)


def test_it_draws_the_same_images_as_where_it_was_exported(workspace: Workspace) -> None:
    def read() -> np.ndarray:
        return read_shards(find_shards(workspace.output("digits", "generated_images"), "generated")).images

    before, chain = read(), Chain(workspace)
    validate(workspace, "digits")
    for stage in ("generator", "generator_onnx", "generated_images"):
        chain.run("digits", stage)
    assert np.array_equal(read(), before)
    folder = workspace.output("digits", "generator_onnx")
    assert read_json(folder / "parity.json")["passed"]
    assert "trained on: not known: it was exported elsewhere" in (folder / "card.md").read_text()
    assert read_manifest(workspace.output("digits", "generator"))["metrics"]["training_images"] is None


def test_another_file_in_its_place_is_refused_before_anything_runs(workspace: Workspace) -> None:
    path = workspace.root / "models" / "foreign.onnx"
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(UserError, match=r"generator\.sha256 does not fit .*foreign\.onnx"):
        validate(workspace, "digits")
    result = growset(workspace.root, "run", "digits")
    assert result.exit_code == 2
    path.unlink()
    assert "does not exist" in growset(workspace.root, "check", "digits").output


def test_minutes_go_to_what_is_trained_where_the_generator_is_not(workspace: Workspace) -> None:
    result = growset(workspace.root, "plan", "digits", "--minutes", "30")
    assert result.exit_code == 0, result.output
    changed = {line.split(": ")[1] for line in result.output.splitlines() if " -> " in line}
    assert changed == {"scorer.steps", "classifier.steps"}
