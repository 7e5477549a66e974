"""A chain whose generator is kind `munit`: trained, exported, drawn, accepted and published like any other."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest

from ops.chain.driver import Chain
from ops.datasets.pixels import read_rows, read_shards
from ops.datasets.shards import find_shards
from ops.files.manifests import read_manifest
from ops.files.outputs import GATE, LEARNING_CURVE, PARITY
from ops.files.storage import read_json
from ops.generators.folder import CONTENT, DECODER, SAMPLER
from ops.generators.noise import draw_noise
from ops.stages.materialization import Runtime
from ops.workspaces.workspace import Workspace
from tests.chains import assert_checked, copy_workspace, run_whole
from tests.workspaces import make_workspace, one_core

EACH = 2  # variants of each of 32 seed images
CHANGES = {
    "plan": f"{{ratio: {EACH}.0, overdraw: 1.0, rounds: 1}}",
    "generator": "{kind: munit, width: 8, blocks: 1, steps: 12, batch_size: 8, warmup_steps: 2, ema_decay: 0.8,"
    " checkpoints: 2, max_copies: 1.0}",
    "sampler": "{usable_from: null, strength: auto, moves: null, keeps: 0.0}",  # it has hardly learnt
    "filter": "{wrong_label: null, near_copy: null, near_repeat: null, atypical: null, blank: null}",
}

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    root = make_workspace(tmp_path_factory.mktemp("munit") / "workspace")
    path = root / "recipes" / "digits.yaml"
    lines = path.read_text().splitlines()
    texts = [f"{key}: {CHANGES[key]}" if (key := line.partition(":")[0]) in CHANGES else line for line in lines]
    path.write_text("\n".join(texts) + "\n")
    return run_whole(root)


def out(workspace: Workspace, stage: str) -> Path:
    return workspace.output("digits", stage)


def test_every_seed_image_has_its_variants_and_all_checks_that_block_pass(workspace: Workspace) -> None:
    train = read_rows(find_shards(out(workspace, "real_images"), "train"))
    labels = dict(zip(train["image_id"], train["label"], strict=True))
    drawn = read_rows(find_shards(out(workspace, "generated_images"), "generated"))
    assert drawn["parent_id"].value_counts()["count"].to_list() == [EACH] * 32
    assert [labels[parent] for parent in drawn["parent_id"]] == drawn["label"].to_list()
    assert_checked(workspace)
    assert read_json(out(workspace, "generator_onnx") / PARITY)["passed"]
    assert [trial["strength"] for trial in read_json(out(workspace, "generator_onnx") / GATE)["strengths"]] == [1.0]
    published = read_shards(find_shards(workspace.published("digits") / "data", "train")).rows
    assert published.filter("is_generated")["parent_id"].null_count() == 0


def test_the_generators_folder_is_that_of_its_kind_and_its_training_was_watched(workspace: Workspace) -> None:
    folder, metrics = out(workspace, "generator_onnx"), read_manifest(out(workspace, "generator"))["metrics"]
    assert {SAMPLER, CONTENT, DECODER, "model.safetensors", "config.json", "card.md"} <= set(
        path.name for path in folder.iterdir()
    )
    assert [row["step"] for row in read_json(out(workspace, "generator") / LEARNING_CURVE)] == [6, 12]
    assert metrics["training_images"] == metrics["best_step"] * 8 and metrics["reconstruction_levels"] > 0


def test_a_stored_variant_is_drawn_again_by_plain_onnx_runtime_from_its_row(workspace: Workspace) -> None:
    """Parent and number are the seed of a style."""
    drawn = read_shards(find_shards(out(workspace, "generated_images"), "generated"))
    train = read_shards(find_shards(out(workspace, "real_images"), "train"))
    places = {name: row for row, name in enumerate(train.rows["image_id"])}
    session = ort.InferenceSession(out(workspace, "generator_onnx") / SAMPLER, providers=["CPUExecutionProvider"])
    seed = workspace.load_recipe("digits").seed
    for row in (0, 17, 63):
        parent, k = drawn.rows["parent_id"][row], drawn.rows["k"][row]
        noise = draw_noise((1, 16, 16), seed=seed, round_=0, unit=parent, start=k, count=1)
        (again,) = session.run(["variant"], {"noise": noise, "image": train.images[places[parent]][None]})
        assert np.abs(again[0].astype(int) - drawn.images[row]).max() <= 1


def test_the_same_recipe_trains_and_draws_the_same_bytes_again(workspace: Workspace, tmp_path: Path) -> None:
    copied = copy_workspace(workspace, tmp_path)
    stages = ("generator", "generator_onnx", "generated_images")
    contents = [read_manifest(out(workspace, stage))["files"] for stage in stages]
    for stage in stages:
        shutil.rmtree(out(copied, stage))
    shutil.rmtree(copied.root / ".growset" / "staging", ignore_errors=True)
    chain = Chain(copied, Runtime(workers=2))
    for stage, content in zip(stages, contents, strict=True):
        found = chain.run("digits", stage).manifest["files"]
        assert found == content, stage


def test_a_weaker_strength_exports_again_without_training_and_stays_nearer_to_its_parents(
    workspace: Workspace, tmp_path: Path
) -> None:
    copied = copy_workspace(workspace, tmp_path)
    path = copied.root / "recipes" / "digits.yaml"
    path.write_text(path.read_text().replace("strength: auto", "strength: 0.0"))
    chain = Chain(copied, Runtime(workers=1))
    with one_core():
        assert chain.run("digits", "generator").reused
        for stage in ("generator_onnx", "generated_images"):
            assert not chain.run("digits", stage).reused
    drawn = read_shards(find_shards(out(copied, "generated_images"), "generated"))
    for parent in drawn.rows["parent_id"].unique():
        own = drawn.images[(drawn.rows["parent_id"] == parent).to_numpy()]
        assert len(np.unique(own, axis=0)) == 1  # no draw has an effect
