"""A chain whose prior is a masked autoencoder: trained on a pool and imagining, or with weights from elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest

from ops.chain.driver import Chain
from ops.datasets.pixels import read_rows, read_shards
from ops.datasets.shards import find_shards
from ops.files.manifests import read_manifest
from ops.files.outputs import CARD, IMAGINED, PARITY, REPORT, VERDICT
from ops.files.outputs import PRIOR as PRIOR_FILE
from ops.files.storage import read_json
from ops.generators.folder import SAMPLER
from ops.generators.mae.weights import check_weights_folder
from ops.generators.noise import draw_noise
from ops.recipe.mae import MaeWeightsSettings
from ops.stages.materialization import Runtime
from ops.workspaces.workspace import Workspace
from tests.chains import assert_checked, run_stages, run_whole
from tests.maefolders import write_folder
from tests.priors import IMAGES, POOL, change_recipe, make_prior_workspace
from tests.workspaces import growset

pytestmark = pytest.mark.slow
HALF = {"width": 16, "layers": 1, "heads": 2}
TRAINED = {
    "kind": "mae", "pool": POOL, "encoder": HALF, "decoder": HALF, "steps": 40, "batch_size": 16, "warmup_steps": 5,
    "ema_decay": 0.9, "checkpoints": 2,
}  # fmt: skip
BEFORE = ("real_images", "training_policy", "scorer", "expansion_plan")
DRAWING = ("generator_onnx", "generated_images")
SAMPLER_KEYS = {"usable_from": None, "strength": 0.4, "moves": None, "keeps": None}


def make(root: Path, prior: dict[str, Any], **sampler: Any) -> Workspace:
    make_prior_workspace(root)
    change_recipe(root, "digits", prior=prior, sampler={**SAMPLER_KEYS, **sampler})
    return Workspace(root)


def test_a_trained_one_draws_variants_again_by_plain_onnx_runtime_and_imagines(tmp_path: Path) -> None:
    workspace = make(tmp_path / "workspace", TRAINED)
    run_stages(workspace, *BEFORE, "prior", "generator", *DRAWING)
    prior, exported = (workspace.output("digits", stage) for stage in ("prior", "generator_onnx"))
    assert read_json(prior / PRIOR_FILE) == {"kind": "mae", "pool": POOL, "images": IMAGES, "licence": "CC0-1.0"}
    assert len(list(prior.glob("samples-*.png"))) == 2 and read_json(exported / PARITY)["passed"]
    drawn = read_shards(find_shards(workspace.output("digits", "generated_images"), "generated"))
    train = read_shards(find_shards(workspace.output("digits", "real_images"), "train"))
    places = {name: row for row, name in enumerate(train.rows["image_id"])}
    session = ort.InferenceSession(exported / SAMPLER, providers=["CPUExecutionProvider"])
    for row in (0, len(drawn.rows) - 1):
        parent, k = drawn.rows["parent_id"][row], drawn.rows["k"][row]
        assert train.rows["label"][places[parent]] == drawn.rows["label"][row]
        noise = draw_noise((1, 16, 16), seed=0, round_=0, unit=parent, start=k, count=1)
        (again,) = session.run(["variant"], {"noise": noise, "image": train.images[places[parent]][None]})
        assert np.abs(again[0].astype(int) - drawn.images[row]).max() <= 1
    imagination = {"mode": "guided", "group": 2, "steps": 1, "force": True}
    change_recipe(workspace.root, "digits", sampler={**SAMPLER_KEYS, "imagination": imagination})
    assert Chain(workspace, Runtime(workers=1)).run("digits", "generator").reused
    run_stages(workspace, *DRAWING)
    folder = workspace.output("digits", "generated_images")
    assert (folder / IMAGINED).exists() and len(read_rows(find_shards(folder, "generated")))


def test_a_whole_run_with_weights_from_elsewhere_says_so(tmp_path: Path) -> None:
    root = tmp_path / "workspace"
    weights = {"model": "mae", "licence": "as <they> say"}
    workspace = make(root, {"kind": "mae", "pool": POOL, "weights": weights})
    write_folder(root, side=16)
    refused = growset(root, "check", "digits")
    assert refused.exit_code == 2 and "prior.weights.sha256 is missing" in refused.output
    found = check_weights_folder(MaeWeightsSettings(**weights), root, (1, 16, 16)).folder.hash_files()
    change_recipe(root, "digits", prior={"kind": "mae", "pool": POOL, "weights": {**weights, "sha256": found}})
    run_whole(root)
    assert read_manifest(workspace.output("digits", "prior"))["metrics"]["sha256"] == found
    assert_checked(workspace)
    sentence = read_json(workspace.output("digits", "verdict") / VERDICT)["sentence"]
    assert f"a prior that learnt elsewhere (mae) and saw {IMAGES} unlabelled images of {POOL}" in sentence
    assert "What its weights learnt from is not known here." in sentence
    card = (workspace.published("digits") / CARD).read_text()
    assert "trained elsewhere, on what is not known here" in card and "as &lt;they&gt; say" in card
    report = (workspace.output("digits", "report") / REPORT).read_text()
    assert f"sha256 {found[:12]}" in report and f"unlabelled images of {POOL}." in report
    onnx_card = (workspace.output("digits", "generator_onnx") / "card.md").read_text()
    assert "mae, sha256 " + found in onnx_card
