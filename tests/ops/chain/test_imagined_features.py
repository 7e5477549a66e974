"""A chain whose prior imagines features (`instance`): from check to verdict, with exactly K of each seed image, and
from the noise of plain variants."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from ops.datasets.pixels import read_shards
from ops.datasets.shards import find_shards
from ops.files.outputs import IMAGINED
from ops.workspaces.workspace import Workspace
from tests.chains import assert_checked, run_stages, run_whole
from tests.priors import PRIOR, change_recipe, make_prior_workspace
from tests.workspaces import growset

pytestmark = pytest.mark.slow
ENCODER = {"steps": 30, "batch_size": 16, "width": 8, "features": 6, "warmup_steps": 2}
SAMPLER = {"usable_from": None, "steps": 1, "solver": "euler", "strength": 0.4, "moves": None, "keeps": None}
DRAWING = ("generator_onnx", "generated_images")
FIRST = ("real_images", "training_policy", "scorer", "expansion_plan", "prior", "generator")


def read(workspace: Workspace) -> np.ndarray:
    images: np.ndarray = read_shards(find_shards(workspace.output("digits", "generated_images"), "generated")).images
    return images


def test_from_check_to_verdict(tmp_path: Path) -> None:
    root = make_prior_workspace(tmp_path / "workspace")
    scorer = {"folds": 2, "steps": 60, "batch_size": 16, "width": 16}
    change_recipe(root, "digits", prior={**PRIOR, "kind": "instance", "encoder": ENCODER}, scorer=scorer)
    change_recipe(root, "digits", sampler=SAMPLER)
    workspace = Workspace(root)
    run_stages(workspace, *FIRST, *DRAWING)
    plain, folder = read(workspace), workspace.output("digits", "generated_images")
    assert not (folder / IMAGINED).exists()
    change_recipe(root, "digits", sampler={**SAMPLER, "imagination": {"mode": "prior"}})
    run_stages(workspace, *DRAWING)
    assert np.abs(read(workspace).astype(int) - plain).max() <= 1

    imagination = {"mode": "guided", "steps": 2, "radius": 2.0, "force": True, "scorer": "probe"}
    change_recipe(root, "digits", sampler={**SAMPLER, "imagination": imagination})
    assert growset(root, "check", "digits").exit_code == 0
    result = growset(root, "plan", "digits")
    assert result.exit_code == 0 and "generated_images" in result.output
    run_whole(root)
    rows, records = read_shards(find_shards(folder, "generated")).rows, pl.read_parquet(folder / IMAGINED)
    assert rows["parent_id"].value_counts()["count"].to_list() == [2] * 32 and (read(workspace) != plain).any()
    assert records["image_id"].to_list() == rows["image_id"].to_list()
    assert set(records["mode"]) == {"guided"} and records["target"].to_list() == rows["label"].to_list()
    assert records["z_before"].list.len().unique().to_list() == [6] and (records["slope"] > 0).all()
    assert_checked(workspace)
