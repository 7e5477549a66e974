"""Chains of the kinds that learn against a critic: trained, exported, drawn, accepted and published like any other."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest

from ops.datasets.pixels import read_rows, read_shards
from ops.datasets.shards import find_shards
from ops.files.manifests import read_manifest
from ops.files.outputs import LEARNING_CURVE, PARITY
from ops.files.storage import read_json
from ops.generators.folder import SAMPLER
from ops.generators.noise import draw_noise
from ops.workspaces.workspace import Workspace
from tests.chains import assert_checked, run_whole
from tests.workspaces import make_workspace

SAMPLERS = {"dcgan": "{usable_from: null}", "stylegan2": "{usable_from: null, truncation: 0.7}"}  # hardly learnt
CHANGES = {
    "generator": "{kind: KIND, width: 8, latent: 16, steps: 12, batch_size: 8, ema_decay: 0.8, checkpoints: 2,"
    " max_copies: 1.0}",
    "filter": "{wrong_label: null, near_copy: null, near_repeat: null, atypical: null, blank: null}",
}

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", params=sorted(SAMPLERS))
def workspace(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    root = make_workspace(tmp_path_factory.mktemp(request.param) / "workspace")
    path = root / "recipes" / "digits.yaml"
    changes = {**CHANGES, "sampler": SAMPLERS[request.param]}
    lines = path.read_text().splitlines()
    texts = [f"{key}: {changes[key]}" if (key := line.partition(":")[0]) in changes else line for line in lines]
    path.write_text("\n".join(texts).replace("KIND", request.param) + "\n")
    return run_whole(root)


def out(workspace: Workspace, stage: str) -> Path:
    return workspace.output("digits", stage)


def test_all_checks_that_block_pass_and_the_training_was_watched(workspace: Workspace) -> None:
    assert_checked(workspace)
    assert read_json(out(workspace, "generator_onnx") / PARITY)["passed"]
    assert {SAMPLER, "model.safetensors", "config.json", "card.md"} <= {
        path.name for path in out(workspace, "generator_onnx").iterdir()
    }
    recipe = workspace.load_recipe("digits")
    card = (out(workspace, "generator_onnx") / "card.md").read_text(encoding="utf-8")
    assert f"Generator `{recipe.generator.kind}`" in card
    assert ("truncation 0.7; inputs" in card) == (recipe.sampler.truncation == 0.7)
    metrics = read_manifest(out(workspace, "generator"))["metrics"]
    assert [row["step"] for row in read_json(out(workspace, "generator") / LEARNING_CURVE)] == [6, 12]
    assert metrics["training_images"] == metrics["best_step"] * 8
    published = read_rows(find_shards(workspace.published("digits") / "data", "train"))
    assert published.filter("is_generated").height > 0


def test_a_stored_image_is_drawn_again_by_plain_onnx_runtime_from_its_row(workspace: Workspace) -> None:
    drawn = read_shards(find_shards(out(workspace, "generated_images"), "generated"))
    names = read_manifest(out(workspace, "real_images"))["metrics"]["class_names"]
    session = ort.InferenceSession(out(workspace, "generator_onnx") / SAMPLER, providers=["CPUExecutionProvider"])
    seed = workspace.load_recipe("digits").seed
    for row in (0, 17, len(drawn.images) - 1):
        label, k = drawn.rows["label"][row], drawn.rows["k"][row]
        noise = draw_noise((1, 16, 16), seed=seed, round_=0, unit=names[label], start=k, count=1)
        (again,) = session.run(["image"], {"noise": noise, "label": np.array([label])})
        assert np.abs(again[0].astype(int) - drawn.images[row]).max() <= 1
