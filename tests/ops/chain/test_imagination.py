"""A chain whose prior imagines: each mode draws, records and is judged; a killed run and slices change nothing."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from ops.chain import generated_images as module
from ops.chain.checks import CHECKS, run_check
from ops.chain.generated_images import fill_slice, plan_slices
from ops.chain.parts import units
from ops.chain.parts.imagined_drawer import ImaginingDrawer
from ops.datasets.pixels import read_shards
from ops.datasets.shards import find_shards
from ops.errors import UserError
from ops.files.manifests import read_manifest
from ops.files.outputs import GATE, IMAGINATION, IMAGINATION_FACTS, IMAGINED, SEEDS
from ops.files.storage import read_json
from ops.stages.materialization import Runtime
from ops.workspaces.workspace import Workspace
from tests.chains import assert_checked, copy_workspace, run_stages, run_whole
from tests.priors import PRIOR, change_recipe, make_prior_workspace
from tests.workspaces import growset, one_core

pytestmark = pytest.mark.slow
AUTOENCODER = {"steps": 20, "batch_size": 16, "width": 8, "blocks": 1, "warmup_steps": 2, "ema_decay": 0.8}
SAMPLER = {"usable_from": None, "steps": 1, "solver": "euler", "strength": 0.4, "moves": None, "keeps": None}
LAST = ("generator_onnx", "generated_images")


def imagine(root: Path, strength: Any = 0.4, **imagination: Any) -> None:
    change_recipe(root, "digits", sampler={**SAMPLER, "strength": strength, "imagination": imagination})


def out(workspace: Workspace, stage: str) -> Path:
    return workspace.output("digits", stage)


def read(workspace: Workspace) -> tuple[np.ndarray, pl.DataFrame, pl.DataFrame]:
    """Images, rows and records."""
    folder = out(workspace, "generated_images")
    found = read_shards(find_shards(folder, "generated"))
    return found.images, found.rows, pl.read_parquet(folder / IMAGINED)


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    root = make_prior_workspace(tmp_path_factory.mktemp("imagination") / "workspace")
    change_recipe(root, "digits", prior={**PRIOR, "kind": "latent", "autoencoder": AUTOENCODER})
    change_recipe(root, "digits", scorer={"folds": 2, "steps": 60, "batch_size": 16, "width": 16})
    imagine(root, mode="guided", steps=2, force=True)
    return run_whole(root)


@pytest.fixture
def copied(workspace: Workspace, tmp_path: Path) -> Workspace:
    return copy_workspace(workspace, tmp_path)


def test_each_row_says_how_its_image_came_about_and_the_checks_pass(workspace: Workspace) -> None:
    images, rows, records = read(workspace)
    assert len(images) == len(records) == 64
    for column in ("image_id", "parent_id", "k"):
        assert records[column].to_list() == rows[column].to_list()
    assert set(records["mode"]) == {"guided"} and set(records["target"]) == {0, 1}
    assert records["target"].to_list() == rows["label"].to_list()  # the preset keeps the label
    assert records.null_count().sum_horizontal().item() == 0
    assert (records["z_before"] != records["z_after"]).all() and records["clamped"].is_between(0, 1).all()
    settled = read_json(out(workspace, "generator_onnx") / IMAGINATION)
    assert (settled["mode"], settled["sampler"]["strength"]) == ("guided", 0.4)
    assert read_json(out(workspace, "generator_onnx") / IMAGINATION_FACTS)["preset"] == "corrected"
    metrics = read_manifest(out(workspace, "generated_images"))["metrics"]
    assert metrics["total_gain"] > 0
    assert_checked(workspace)
    assert "mode guided, preset corrected" in (out(workspace, "generator_onnx") / "card.md").read_text()


def test_all_modes_share_every_other_factor(copied: Workspace) -> None:
    found = {"guided": read(copied)}
    for mode, more in (("random", {}), ("prior", {}), ("overdraw", {"draws": 2, "force": True})):
        imagine(copied.root, mode=mode, **more)
        run_stages(copied, *LAST)
        found[mode] = read(copied)
        assert set(found[mode][2]["mode"]) == {mode}
    guided, random, prior, overdraw = (found[mode][2] for mode in ("guided", "random", "prior", "overdraw"))
    assert guided["z_before"].equals(random["z_before"]) and guided["b_before"].equals(random["b_before"])
    assert random["b_before"].equals(random["b_after"]) and prior["z_after"].list.sum().sum() == 0
    assert (found["guided"][0] != found["random"][0]).any() and (found["random"][0] != found["prior"][0]).any()
    # Each is the best of its own draws, so all terms gain, weighted.
    assert (overdraw["total_after"] - overdraw["total_before"]).mean() > 0
    best = overdraw["total_after"].mean()
    own = prior["total_after"].mean()
    assert isinstance(best, float) and isinstance(own, float) and best > own
    change_recipe(copied.root, "digits", sampler=SAMPLER)
    run_stages(copied, *LAST)
    plain = read_shards(find_shards(out(copied, "generated_images"), "generated")).images
    assert np.abs(plain.astype(int) - found["prior"][0]).max() <= 1  # the exported sampler, with the same noise


def test_a_killed_stage_and_one_in_slices_give_the_same_bytes(
    copied: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = read_manifest(out(copied, "generated_images"))["content"]
    shutil.rmtree(out(copied, "generated_images"))
    monkeypatch.setattr(units, "PIECE_GROUPS", 3)  # so that there are several
    draw, seen = ImaginingDrawer.draw_recorded, list[int]()

    def stop(drawer: ImaginingDrawer, feeds: Any) -> Any:
        seen.append(0)
        if len(seen) == 3:
            raise KeyboardInterrupt
        return draw(drawer, feeds)

    with monkeypatch.context() as patch:
        patch.setattr(ImaginingDrawer, "draw_recorded", stop)
        with pytest.raises(KeyboardInterrupt):
            run_stages(copied, "generated_images")
    assert not out(copied, "generated_images").exists()
    run_stages(copied, "generated_images")
    assert read_manifest(out(copied, "generated_images"))["content"] == content
    shutil.rmtree(out(copied, "generated_images"))
    runtime = Runtime(workers=1)
    with one_core():
        assert plan_slices(copied, "digits", 2) == 2
        assert sum(fill_slice(copied, "digits", index, 2, runtime) for index in range(2)) == 64
    run_stages(copied, "generated_images")
    assert read_manifest(out(copied, "generated_images"))["content"] == content


def test_a_larger_set_holds_the_smaller_one_and_another_filter_draws_nothing(
    copied: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = read(copied)
    change_recipe(copied.root, "digits", plan={"ratio": 3.0, "overdraw": 2.0, "rounds": 1})
    run_stages(copied, "expansion_plan", "generated_images")
    larger = read(copied)
    rows = np.flatnonzero(larger[1]["k"].to_numpy() < 2)
    assert len(larger[0]) == 192
    np.testing.assert_array_equal(larger[0][rows], before[0])
    assert larger[2][rows.tolist()].drop("image_id").equals(before[2].drop("image_id"))
    filters = dict.fromkeys(("wrong_label", "near_copy", "near_repeat", "atypical"))
    change_recipe(copied.root, "digits", filter={**filters, "blank": 0.01})
    monkeypatch.setattr(module, "_write_contact_sheet", lambda path, first: path.write_bytes(b""))
    with monkeypatch.context() as patch:
        patch.delattr(ImaginingDrawer, "draw_recorded")
        run_stages(copied, "generated_images")
    assert read(copied)[2].equals(larger[2])


def test_the_medical_profile_and_hard_seeds_on_a_recipe_that_runs(copied: Workspace) -> None:
    still = {"folds": 2, "steps": 60, "batch_size": 16, "width": 16, "augmentation": {"kind": "policy", "shift": 0.1}}
    plan = {"ratio": 1.0, "overdraw": 2.0, "rounds": 1, "seeds": "hard"}
    drawing = {key: value for key, value in SAMPLER.items() if key != "strength"}
    sampler = {**drawing, "imagination": {"profile": "medical", "force": True}}
    mirrored = {"scorer": {**still, "augmentation": "flip_crop"}, "plan": plan, "sampler": sampler}
    change_recipe(copied.root, "digits", **mirrored)
    result = growset(copied.root, "run", "digits")
    assert result.exit_code == 2 and "scorer.augmentation: flip_crop mirrors images" in result.output
    change_recipe(copied.root, "digits", scorer=still)
    run_stages(copied, "scorer", "expansion_plan", "generator", *LAST)
    settled, facts = (read_json(out(copied, "generator_onnx") / name) for name in (IMAGINATION, IMAGINATION_FACTS))
    assert (settled["sampler"]["strength"], settled["preset"]["ball"]["radius"]) == (0.2, 0.1)
    assert facts["profile"] == "medical" and settled["mode"] == "guided"
    seeds = pl.read_parquet(out(copied, "expansion_plan") / SEEDS)
    chosen = seeds.filter("chosen")
    assert seeds.group_by("label").len()["len"].to_list() == [16, 16] and len(chosen) == 12  # a third, rounded up
    bound = chosen.group_by("label").agg(pl.col("odds").min().alias("bound"))
    assert seeds.join(bound, on="label").filter(pl.col("odds") > pl.col("bound"))["chosen"].all()
    assert seeds.join(bound, on="label").filter(pl.col("odds") < pl.col("bound"))["chosen"].any() is False
    images, rows, records = read(copied)
    assert len(images) == 64 and set(rows["parent_id"]) == set(chosen["image_id"]) == set(records["parent_id"])
    for check in CHECKS:
        if check.stage in (*LAST, "expansion_plan", "scorer"):
            finding = run_check(check, copied, "digits")
            assert finding.passed or not check.blocking, finding.sentence


def test_the_strength_is_chosen_by_what_is_imagined_and_faults_are_told_before_any_work(
    copied: Workspace,
) -> None:
    change_recipe(
        copied.root,
        "digits",
        sampler={**SAMPLER, "strength": "auto", "keeps": 0.0, "imagination": {"mode": "random"}},
    )
    run_stages(copied, "generator_onnx")
    assert [trial["strength"] for trial in read_json(out(copied, "generator_onnx") / GATE)["strengths"]] == [0.8]
    assert read_json(out(copied, "generator_onnx") / IMAGINATION)["sampler"]["strength"] == 0.8
    imagine(copied.root, mode="guided", radius=1e-6, force=True)
    with pytest.raises(UserError, match="imagination cannot be guided"):
        run_stages(copied, "generator_onnx")
    imagine(copied.root, mode="guided", steps=0)
    result = growset(copied.root, "run", "digits")
    assert result.exit_code == 2 and "'sampler.imagination.steps'" in result.output
