"""A chain whose generator is kind `latent`: trained, watched, exported and drawn like any other."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest

from ops.chain.driver import Chain
from ops.datasets.pixels import read_shards
from ops.datasets.shards import find_shards
from ops.files.manifests import read_manifest
from ops.files.outputs import LEARNING_CURVE, PARITY
from ops.files.storage import read_json
from ops.generators.folder import DECODER, ENCODER, NET, WEIGHTS, sampler_name
from ops.generators.noise import draw_noise
from ops.stages.materialization import Runtime
from ops.workspaces.workspace import Workspace
from tests.workspaces import make_workspace, one_core

CHANGES = {
    "generator": "{kind: latent, widths: [8, 16], steps: 12, batch_size: 8, warmup_steps: 2, ema_decay: 0.8,"
    " checkpoints: 2, max_copies: 1.0, autoencoder: {width: 8, steps: 12, batch_size: 8, warmup_steps: 2}}",
    "sampler": "{usable_from: null, steps: 2}",  # it has hardly learnt
}

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    root = make_workspace(tmp_path_factory.mktemp("latent") / "workspace")
    path = root / "recipes" / "digits.yaml"
    lines = path.read_text().splitlines()
    texts = [f"{key}: {CHANGES[key]}" if (key := line.partition(":")[0]) in CHANGES else line for line in lines]
    path.write_text("\n".join(texts) + "\n")
    found = Workspace(root)
    chain = Chain(found, Runtime(workers=1))
    with one_core():
        for stage in ("real_images", "training_policy", "expansion_plan", "scorer", "prior", "generator",
                      "generator_onnx", "generated_images"):  # fmt: skip
            chain.run("digits", stage)
    return found


def out(workspace: Workspace, stage: str) -> Path:
    return workspace.output("digits", stage)


def test_both_trainings_leave_a_whole_generator_that_was_watched_in_pixels(workspace: Workspace) -> None:
    folder, metrics = out(workspace, "generator_onnx"), read_manifest(out(workspace, "generator"))["metrics"]
    assert {sampler_name(2), NET, ENCODER, DECODER, WEIGHTS} <= {path.name for path in folder.iterdir()}
    assert read_json(folder / PARITY)["passed"]
    assert [row["step"] for row in read_json(out(workspace, "generator") / LEARNING_CURVE)] == [6, 12]
    assert metrics["autoencoder_steps"] == 12 and metrics["reconstruction_levels"] > 0


def test_a_stored_image_is_drawn_again_by_plain_onnx_runtime_from_its_row(workspace: Workspace) -> None:
    drawn = read_shards(find_shards(out(workspace, "generated_images"), "generated"))
    session = ort.InferenceSession(
        out(workspace, "generator_onnx") / sampler_name(2), providers=["CPUExecutionProvider"]
    )
    seed = workspace.load_recipe("digits").seed
    for row in (0, len(drawn.images) - 1):
        label, k = drawn.labels[row], drawn.rows["k"][row]
        noise = draw_noise((1, 16, 16), seed=seed, round_=0, unit=drawn.class_names[label], start=k, count=1)
        (again,) = session.run(["image"], {"noise": noise, "label": np.array([label])})
        assert np.abs(again[0].astype(int) - drawn.images[row]).max() <= 1


def test_a_strength_exports_again_without_training_and_draws_variants(workspace: Workspace) -> None:
    path = workspace.root / "recipes" / "digits.yaml"
    path.write_text(
        path.read_text().replace("null, steps: 2}", "null, steps: 2, strength: 0.3, moves: null, keeps: null}")
    )
    chain = Chain(workspace, Runtime(workers=1))
    with one_core():
        assert chain.run("digits", "generator").reused
        for stage in ("expansion_plan", "generator_onnx", "generated_images"):
            chain.run("digits", stage)
    assert read_json(out(workspace, "generator_onnx") / PARITY)["passed"]
    drawn = read_shards(find_shards(out(workspace, "generated_images"), "generated"))
    assert drawn.rows["parent_id"].null_count() == 0
