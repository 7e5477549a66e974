"""A chain whose generator learns from a pool that a probe labelled (DPT), from the prior to the published card.

The pool is the source itself: 64 training images, of which 32 are labelled.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from ops.chain.driver import Chain
from ops.chain.parts.labelled_pool import label_pool
from ops.datasets.identity import content_ids
from ops.datasets.pixels import read_rows, read_split
from ops.datasets.shards import find_shards
from ops.files.manifests import read_manifest
from ops.files.outputs import CARD, PROBE, PSEUDO_LABELS, REPORT, TRAINED_ON, VERDICT
from ops.files.storage import read_json
from ops.generators.folder import read_config
from ops.labelling.choice import FOLDS
from ops.stages.materialization import Runtime, StageRun
from ops.workspaces.workspace import Workspace
from tests.chains import copy_workspace, run_whole
from tests.priors import PRIOR, change_recipe, make_prior_workspace
from tests.workspaces import digit_splits, growset, one_core

pytestmark = pytest.mark.slow
LABELLED, ALL = 32, 64
GENERATOR = {
    "kind": "flow", "widths": [8, 16], "steps": 60, "batch_size": 16, "learning_rate": 0.02, "warmup_steps": 5,
    "ema_decay": 0.9, "pseudo_labels": {"noise": [0.2, 0.5]},
}  # fmt: skip
SAMPLER = {"usable_from": None, "steps": 1, "solver": "euler"}


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    root = make_prior_workspace(tmp_path_factory.mktemp("pool") / "workspace")
    change_recipe(root, "digits", prior={**PRIOR, "pool": "digits"}, generator=GENERATOR, sampler=SAMPLER)
    return run_whole(root)


def out(workspace: Workspace, stage: str) -> Path:
    return workspace.output("digits", stage)


def list_ids(workspace: Workspace, split: str) -> set[str]:
    return set(read_rows(find_shards(out(workspace, "real_images"), split))["image_id"])


def test_every_unlabelled_image_of_the_pool_has_a_label_and_no_other_has(workspace: Workspace) -> None:
    table = pl.read_parquet(out(workspace, "generator") / PSEUDO_LABELS)
    train, evaluated = list_ids(workspace, "train"), list_ids(workspace, "validation") | list_ids(workspace, "test")
    ids = set(table["image_id"])
    assert len(ids) == table.height == ALL - LABELLED and not ids & (train | evaluated)
    taken = table.filter("taken")
    assert taken["label"].value_counts()["count"].max() <= LABELLED / 2
    assert set(pl.read_parquet(out(workspace, "generator") / TRAINED_ON)["image_id"]) == train | set(taken["image_id"])
    probe, metrics = (
        read_json(out(workspace, "generator") / PROBE),
        read_manifest(out(workspace, "generator"))["metrics"],
    )
    assert probe["judge"] == "cross-fitting" and probe["images"] == 64 and len(probe["trials"]) == 2 * 5 * 4
    assert probe["chosen"]["score"] == max(trial["score"] for trial in probe["trials"])
    assert metrics["pseudo_labelled"] == taken.height == sum(probe["taken"].values())
    pool = {"pool": "digits", "images": taken.height}
    assert read_config(out(workspace, "generator_onnx"))["pseudo_labelled"] == pool


def test_nearly_all_labels_of_zeros_and_ones_are_right(workspace: Workspace) -> None:
    train = digit_splits()["train"]
    truth = dict(zip(content_ids(train.images), train.labels.tolist(), strict=True))
    taken = pl.read_parquet(out(workspace, "generator") / PSEUDO_LABELS).filter("taken")
    known = [truth[name.partition("-")[0]] for name in taken["image_id"]]
    assert (taken["label"] == pl.Series(known)).mean() >= 0.9


def test_the_same_pool_gets_the_same_labels_again(workspace: Workspace, tmp_path: Path) -> None:
    inputs = {stage: out(workspace, stage) for stage in ("real_images", "prior")}
    recipe = workspace.load_recipe("digits")
    run = StageRun(workspace, "digits", "generator", recipe, inputs, tmp_path, tmp_path, "", Runtime(workers=1))
    train, validation = (read_split(inputs["real_images"], split) for split in ("train", "validation"))
    with one_core():
        again = label_pool(run, train, validation)
    assert again.table.equals(pl.read_parquet(out(workspace, "generator") / PSEUDO_LABELS))
    assert json.loads(json.dumps(again.facts)) == read_json(out(workspace, "generator") / PROBE)
    assert np.array_equal(again.labels, again.table.filter("taken")["label"].to_numpy())


def test_verdict_report_and_cards_say_that_a_probe_labelled_the_pool(workspace: Workspace) -> None:
    verdict = read_json(out(workspace, "verdict") / VERDICT)
    told = f"a generator whose prior saw {ALL} unlabelled images of digits, and that learnt from those that a probe"
    assert told in verdict["sentence"] and "saw 32 of these, the labelled ones" in verdict["sentence"]
    assert verdict["prior"]["pseudo_labels"] is True
    count = read_manifest(out(workspace, "generator"))["metrics"]["pseudo_labelled"]
    report = " ".join((out(workspace, "report") / REPORT).read_text().split())
    assert f"and on {count} images of the prior's pool that a probe labelled" in report
    assert f"of {ALL} images of digits that a probe labelled" in (workspace.published("digits") / CARD).read_text()
    card = (out(workspace, "generator_onnx") / "card.md").read_text()
    assert f"the real training images and from {count} images of digits that a probe labelled" in card


def test_an_unchanged_run_does_nothing_and_a_plan_knows_the_pool(workspace: Workspace) -> None:
    result = growset(workspace.root, "run", "digits")
    assert result.exit_code == 0 and "digits: unchanged" in result.output
    plan = growset(workspace.root, "plan", "digits", "--json")
    assert plan.exit_code == 0 and json.loads(plan.stdout)["pool_images"] == ALL


def test_too_few_labelled_images_are_refused_before_anything_is_computed(workspace: Workspace, tmp_path: Path) -> None:
    copied = copy_workspace(workspace, tmp_path)
    change_recipe(copied.root, "digits", data={"images_per_class": 2})
    result = growset(copied.root, "check", "digits")
    assert result.exit_code == 2 and f"needs at least {FOLDS} labelled training images" in result.output
    assert "there are 4" in result.output


def test_a_latent_prior_can_be_probed_too(workspace: Workspace, tmp_path: Path) -> None:
    copied = copy_workspace(workspace, tmp_path)
    own = {"steps": 20, "batch_size": 16, "width": 8, "warmup_steps": 2, "ema_decay": 0.8, "blocks": 1}
    change_recipe(copied.root, "digits", prior={**PRIOR, "kind": "latent", "pool": "digits", "autoencoder": own})
    chain = Chain(copied, Runtime(workers=1))
    with one_core():
        chain.run("digits", "prior")
        outcome = chain.run("digits", "generator")
    assert outcome.manifest["metrics"]["pseudo_labelled"] > 16
