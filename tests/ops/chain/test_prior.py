"""A chain whose generator is a prior: trained on a pool, shared, drawn from real images, judged and published."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import polars as pl
import pytest

from ops.chain.driver import Chain
from ops.chain.prior import Sheets
from ops.chain.publishing import build_dataset, identify_publication
from ops.datasets.pixels import read_rows, read_shards
from ops.datasets.shards import find_shards
from ops.files.manifests import read_manifest
from ops.files.outputs import CARD, GATE, PARITY, REPORT, TRAINED_ON, VERDICT
from ops.files.outputs import PRIOR as PRIOR_FILE
from ops.files.storage import read_json
from ops.generators.noise import draw_noise
from ops.generators.protocol import Sample
from ops.stages.materialization import Runtime
from ops.training.state import Observation
from ops.workspaces.workspace import Workspace
from tests.chains import assert_checked, copy_workspace, run_whole
from tests.priors import IMAGES, POOL, PRIOR, change_recipe, make_prior_workspace
from tests.workspaces import growset, one_core

pytestmark = pytest.mark.slow
TOLD = f"a prior that saw {IMAGES} unlabelled images of {POOL}"


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    root = make_prior_workspace(tmp_path_factory.mktemp("prior") / "workspace", ("digits", "fewer"))
    change_recipe(root, "fewer", data={"images_per_class": 8}, seed=5)
    return run_whole(root)


@pytest.fixture
def copied(workspace: Workspace, tmp_path: Path) -> Workspace:
    return copy_workspace(workspace, tmp_path)


def out(workspace: Workspace, stage: str, expansion: str = "digits") -> Path:
    return workspace.output(expansion, stage)


def test_the_prior_saw_the_pool_and_nothing_else(workspace: Workspace) -> None:
    seen = pl.read_parquet(out(workspace, "prior") / TRAINED_ON)["image_id"]
    labelled = {
        name for split in ("train", "validation", "test")
        for name in read_rows(find_shards(out(workspace, "real_images"), split))["image_id"]
    }  # fmt: skip
    assert len(seen) == IMAGES and not labelled.intersection(seen)
    facts = {"kind": "flow", "pool": POOL, "images": IMAGES, "licence": "CC0-1.0"}
    assert read_json(out(workspace, "prior") / PRIOR_FILE) == facts
    metrics = read_manifest(out(workspace, "prior"))["metrics"]
    assert metrics["steps"] == 40 and metrics["training_images"] == 40 * 16
    assert [path.name for path in sorted(out(workspace, "prior").glob("samples-*.png"))] == [
        "samples-000020.png", "samples-000040.png"
    ]  # fmt: skip


def test_a_licence_of_the_pool_that_was_corrected_reaches_the_card(copied: Workspace) -> None:
    recipe, before = copied.load_recipe("digits"), read_json(out(copied, "prior") / PRIOR_FILE)
    first = identify_publication(copied, "digits", recipe)
    path = copied.source_path(POOL)
    path.write_text(path.read_text().replace("CC0-1.0", "CC-BY-NC-4.0"))
    assert identify_publication(copied, "digits", recipe) != first
    staged = copied.root / "staged"
    build_dataset(copied, "digits", recipe, staged)
    card = (staged / "README.md").read_text()
    assert "CC-BY-NC-4.0" in card and "CC0-1.0" not in card
    assert read_json(out(copied, "prior") / PRIOR_FILE) == before


OWN = {"steps": 20, "batch_size": 16, "width": 8, "warmup_steps": 2, "ema_decay": 0.8}


@pytest.mark.parametrize(
    ("kind", "own"),
    [("latent", {"autoencoder": {**OWN, "blocks": 1}}), ("instance", {"encoder": {**OWN, "features": 8}})],
)
def test_the_prior_may_be_of_another_kind(copied: Workspace, kind: str, own: dict[str, Any]) -> None:
    sampler = {"usable_from": None, "steps": 1, "solver": "euler", "strength": 0.4, "moves": None, "keeps": 0.0}
    change_recipe(copied.root, "digits", prior={**PRIOR, "kind": kind, **own}, sampler=sampler)
    chain = Chain(copied, Runtime(workers=1))
    with one_core():
        for stage in ("prior", "generator", "generator_onnx", "generated_images"):
            chain.run("digits", stage)
    assert read_json(out(copied, "prior") / PRIOR_FILE)["kind"] == kind
    assert len(list(out(copied, "prior").glob("samples-*.png"))) == 2
    assert read_json(out(copied, "generator_onnx") / PARITY)["passed"]
    (sampler_file,) = out(copied, "generator_onnx").glob("sampler_*.onnx")
    session = ort.InferenceSession(str(sampler_file), providers=["CPUExecutionProvider"])
    assert {each.name for each in session.get_inputs()} == {"noise", "image"}
    train = read_rows(find_shards(out(copied, "real_images"), "train"))
    labels = dict(zip(train["image_id"], train["label"], strict=True))
    drawn = read_rows(find_shards(out(copied, "generated_images"), "generated"))
    assert len(drawn) and [labels[parent] for parent in drawn["parent_id"]] == drawn["label"].to_list()


def test_every_image_is_a_variant_with_the_label_of_its_parent_and_all_blocking_checks_pass(
    workspace: Workspace,
) -> None:
    train = read_rows(find_shards(out(workspace, "real_images"), "train"))
    labels = dict(zip(train["image_id"], train["label"], strict=True))
    drawn = read_rows(find_shards(out(workspace, "generated_images"), "generated"))
    assert drawn["parent_id"].value_counts()["count"].to_list() == [2] * 32
    assert [labels[parent] for parent in drawn["parent_id"]] == drawn["label"].to_list()
    assert_checked(workspace)
    assert read_json(out(workspace, "generator_onnx") / PARITY)["passed"]
    strengths = [trial["strength"] for trial in read_json(out(workspace, "generator_onnx") / GATE)["strengths"]]
    assert strengths == [0.8]  # at 1.0 a prior would forget the image


def test_a_stored_variant_is_drawn_again_by_plain_onnx_runtime_without_a_label(workspace: Workspace) -> None:
    drawn = read_shards(find_shards(out(workspace, "generated_images"), "generated"))
    train = read_shards(find_shards(out(workspace, "real_images"), "train"))
    places = {name: row for row, name in enumerate(train.rows["image_id"])}
    session = ort.InferenceSession(
        out(workspace, "generator_onnx") / "sampler_1.onnx", providers=["CPUExecutionProvider"]
    )
    assert {node.name for node in session.get_inputs()} == {"noise", "image"}
    assert json.loads(session.get_modelmeta().custom_metadata_map["labels"]) == ["zero", "one"]
    for row in (0, 17, 63):
        parent, k = drawn.rows["parent_id"][row], drawn.rows["k"][row]
        noise = draw_noise((1, 16, 16), seed=0, round_=0, unit=parent, start=k, count=1)
        (again,) = session.run(["variant"], {"noise": noise, "image": train.images[places[parent]][None]})
        assert np.abs(again[0].astype(int) - drawn.images[row]).max() <= 1


def test_verdict_report_and_card_say_what_the_prior_saw(workspace: Workspace) -> None:
    verdict = read_json(out(workspace, "verdict") / VERDICT)
    assert TOLD in verdict["sentence"] and "saw none of these" in verdict["sentence"]
    assert verdict["prior"]["images"] == IMAGES
    assert f"It is {TOLD}" in (out(workspace, "report") / REPORT).read_text()
    card = (workspace.published("digits") / CARD).read_text()
    assert f"trained on {IMAGES} images\nof {POOL} without labels" in card and "CC0-1.0" in card
    assert f"{IMAGES} unlabelled images of {POOL}" in (out(workspace, "generator_onnx") / "card.md").read_text()


def test_an_expansion_with_other_labelled_images_and_another_seed_takes_the_same_prior(copied: Workspace) -> None:
    chain = Chain(copied, Runtime(workers=1))
    with one_core():
        assert not chain.run("fewer", "real_images").reused
        outcome = chain.run("fewer", "prior")
    assert outcome.reused_from == "digits"
    assert outcome.manifest["content"] == read_manifest(out(copied, "prior"))["content"]
    real = [read_manifest(out(copied, "real_images", name))["content"] for name in ("digits", "fewer")]
    assert real[0] != real[1]


def test_a_killed_training_goes_on_from_its_checkpoint_and_gives_the_same_bytes(
    copied: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped at the last step, after the checkpoint of step 20; another expansion finishes the work."""
    content = read_manifest(out(copied, "prior"))["content"]
    shutil.rmtree(out(copied, "prior"))
    observe, seen = Sheets.observe, list[int]()

    def stop(sheets: Sheets, step: int, sample: Sample) -> Observation:
        seen.append(step)
        if step == 40 and seen.count(40) == 1:
            raise KeyboardInterrupt
        return observe(sheets, step, sample)

    monkeypatch.setattr(Sheets, "observe", stop)
    chain = Chain(copied, Runtime(workers=1))
    with one_core():
        with pytest.raises(KeyboardInterrupt):
            chain.run("digits", "prior")
        assert not out(copied, "prior").exists()
        chain.run("fewer", "real_images")
        outcome = chain.run("fewer", "prior")
    assert not outcome.reused and seen == [20, 40, 40], "the first half was not trained again"
    assert outcome.manifest["content"] == content


def test_another_strength_exports_again_without_training(copied: Workspace) -> None:
    change_recipe(
        copied.root,
        "digits",
        sampler={"usable_from": None, "steps": 1, "solver": "euler", "strength": 0.2, "moves": None, "keeps": 0.0},
    )
    chain = Chain(copied, Runtime(workers=1))
    with one_core():
        assert chain.run("digits", "prior").reused and chain.run("digits", "generator").reused
        assert not chain.run("digits", "generator_onnx").reused


def test_an_unchanged_run_does_nothing_and_the_state_is_current(workspace: Workspace) -> None:
    result = growset(workspace.root, "run", "digits")
    assert result.exit_code == 0 and "digits: unchanged" in result.output
    status = growset(workspace.root, "status")
    assert "error" not in status.output
    assert f"its prior learns from the pool {POOL}" in growset(workspace.root, "check", "digits").output


def test_more_images_in_the_pool_make_the_prior_and_what_follows_stale(copied: Workspace) -> None:
    from ops.chain.updating import find_pending

    recipe = copied.load_recipe("digits")
    assert find_pending(copied, "digits", recipe).stale == ()
    (copied.root / POOL / "0000.png").unlink()
    pending = find_pending(copied, "digits", recipe)
    assert pending.stale == ("prior",) and "generator" in pending.assets and "scorer" not in pending.assets
