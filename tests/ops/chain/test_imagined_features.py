"""A chain whose prior imagines features (`instance`): from check to verdict, killed and in slices, with exactly K of
each seed image, and from the noise of plain variants."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from ops.chain.checks import CHECKS, run_check
from ops.chain.driver import Chain
from ops.chain.generated_images import fill_slice, plan_slices
from ops.chain.parts import units
from ops.chain.parts.imagined_drawer import ImaginingDrawer
from ops.datasets.pixels import read_shards
from ops.datasets.shards import find_shards
from ops.files.manifests import read_manifest
from ops.files.outputs import IMAGINED
from ops.stages.materialization import Runtime
from ops.workspaces.workspace import Workspace
from tests.priors import PRIOR, change_recipe, make_prior_workspace
from tests.workspaces import growset, one_core

pytestmark = pytest.mark.slow
ENCODER = {"steps": 30, "batch_size": 16, "width": 8, "features": 6, "warmup_steps": 2}
SAMPLER = {"usable_from": None, "steps": 1, "solver": "euler", "strength": 0.4, "moves": None, "keeps": None}
EXPORTED, DRAWN = "generator_onnx", "generated_images"
FIRST = ("real_images", "training_policy", "scorer", "expansion_plan", "prior", "generator")


def run(workspace: Workspace, *stages: str) -> None:
    chain = Chain(workspace, Runtime(workers=1))
    with one_core():
        for stage in stages:
            chain.run("digits", stage)


def read(workspace: Workspace) -> np.ndarray:
    images: np.ndarray = read_shards(find_shards(workspace.output("digits", DRAWN), "generated")).images
    return images


def test_from_check_to_verdict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = make_prior_workspace(tmp_path / "workspace")
    scorer = {"folds": 2, "steps": 60, "batch_size": 16, "width": 16}
    change_recipe(root, "digits", prior={**PRIOR, "kind": "instance", "encoder": ENCODER}, scorer=scorer)
    change_recipe(root, "digits", sampler=SAMPLER)
    workspace = Workspace(root)
    run(workspace, *FIRST, EXPORTED, DRAWN)
    plain, folder = read(workspace), workspace.output("digits", DRAWN)
    assert not (folder / IMAGINED).exists()
    change_recipe(root, "digits", sampler={**SAMPLER, "imagination": {"mode": "prior"}})
    run(workspace, EXPORTED, DRAWN)
    assert np.abs(read(workspace).astype(int) - plain).max() <= 1

    imagination = {"mode": "guided", "steps": 2, "radius": 2.0, "force": True, "scorer": "probe"}
    change_recipe(root, "digits", sampler={**SAMPLER, "imagination": imagination})
    assert growset(root, "check", "digits").exit_code == 0
    result = growset(root, "plan", "digits")
    assert result.exit_code == 0 and DRAWN in result.output
    run(workspace, EXPORTED)
    monkeypatch.setattr(units, "PIECE_GROUPS", 3)  # so that there are several pieces
    draw, seen = ImaginingDrawer.draw_recorded, list[int]()

    def stop(drawer: ImaginingDrawer, feeds: Any) -> Any:
        seen.append(0)
        if len(seen) == 3:
            raise KeyboardInterrupt
        return draw(drawer, feeds)

    with monkeypatch.context() as patch:
        patch.setattr(ImaginingDrawer, "draw_recorded", stop)
        with pytest.raises(KeyboardInterrupt):
            run(workspace, DRAWN)
    run(workspace, DRAWN)
    rows, records = read_shards(find_shards(folder, "generated")).rows, pl.read_parquet(folder / IMAGINED)
    assert rows["parent_id"].value_counts()["count"].to_list() == [2] * 32 and (read(workspace) != plain).any()
    assert records["image_id"].to_list() == rows["image_id"].to_list()
    assert set(records["mode"]) == {"guided"} and records["target"].to_list() == rows["label"].to_list()
    assert records["z_before"].list.len().unique().to_list() == [6] and (records["slope"] > 0).all()

    content = read_manifest(folder)["content"]
    shutil.rmtree(folder)
    with one_core():
        assert plan_slices(workspace, "digits", 2) == 2
        assert sum(fill_slice(workspace, "digits", index, 2, Runtime(workers=1)) for index in range(2)) == 64
    run(workspace, DRAWN)
    assert read_manifest(folder)["content"] == content

    with one_core():
        result = growset(root, "run", "digits", "--workers", "1")
    assert result.exit_code == 0, result.output
    for check in CHECKS:
        finding = run_check(check, workspace, "digits")
        assert finding.passed or not check.blocking, finding.sentence
