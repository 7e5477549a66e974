"""A chain whose baselines see the prior's pool without generating: trained, resumed, judged, told apart."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from ops.chain.driver import Chain
from ops.classifiers import runs
from ops.classifiers.runs import Run
from ops.files.manifests import read_manifest
from ops.files.outputs import RESULTS, VERDICT
from ops.files.storage import read_json
from ops.stages.materialization import Runtime
from ops.workspaces.workspace import Workspace
from tests.chains import copy_workspace, run_whole
from tests.priors import POOL, PRIOR, change_recipe, make_prior_workspace
from tests.workspaces import growset, one_core

pytestmark = pytest.mark.slow
ARMS: dict[str, Any] = {
    "real": {},
    "fixmatch": {"unlabelled": {"kind": "fixmatch", "ratio": 1.0, "threshold": 0.6}},
    "pseudo": {"unlabelled": {"kind": "pseudo_labels", "threshold": 0.6, "labels": "soft"}},
    "probe": {"trainer": "probe"},
    "tuned": {"trainer": "fine_tuned"},
}
ENCODER = {"steps": 20, "batch_size": 16, "width": 8, "warmup_steps": 2, "ema_decay": 0.8, "features": 8}
SAMPLER = {"usable_from": None, "steps": 1, "solver": "euler", "strength": 0.4, "moves": None, "keeps": 0.0}
STAGE = "baseline_classifiers"


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    root = make_prior_workspace(tmp_path_factory.mktemp("pool") / "workspace")
    prior = {**PRIOR, "kind": "instance", "encoder": ENCODER, "steps": 10}
    change_recipe(root, "digits", prior=prior, baselines=ARMS, sampler=SAMPLER, verdict={"curve_seeds": 1})
    return run_whole(root)


@pytest.fixture
def copied(workspace: Workspace, tmp_path: Path) -> Workspace:
    return copy_workspace(workspace, tmp_path)


def test_every_arm_is_trained_and_the_verdict_names_both_comparisons(workspace: Workspace) -> None:
    results = read_json(workspace.output("digits", STAGE) / RESULTS)
    assert set(results["arms"]) == set(ARMS)
    verdict = read_json(workspace.output("digits", "verdict") / VERDICT)
    assert f"120 unlabelled images of {POOL}; of the arms without generated images" in verdict["sentence"]
    assert "learnt from this pool too, and the others saw none of these. On the test images" in verdict["sentence"]
    assert set(verdict["pool"]["seeing"]) == set(ARMS) - {"real"}
    assert verdict["pool"]["with_blind"]["against"] == "real"
    costs = {row["arm"]: row["cost"] for row in verdict["arms"]}
    assert costs["pseudo"] == 2 and costs["fixmatch"] == pytest.approx(7 / 3, abs=1e-3)


def test_the_plan_counts_them_and_an_unchanged_run_does_nothing(workspace: Workspace) -> None:
    result = growset(workspace.root, "run", "digits")
    assert result.exit_code == 0 and "digits: unchanged" in result.output
    assert growset(workspace.root, "plan", "digits").exit_code == 0


def test_a_killed_stage_goes_on_and_gives_the_same_bytes(copied: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    content = read_manifest(copied.output("digits", STAGE))["content"]
    shutil.rmtree(copied.output("digits", STAGE))
    shutil.rmtree(copied.trainings)
    train, done = runs._train_run, list[Run]()

    def stop(run: Run) -> Run:
        if len(done) == 5:
            done.append(run)
            raise KeyboardInterrupt
        done.append(run)
        return train(run)

    monkeypatch.setattr(runs, "_train_run", stop)
    chain = Chain(copied, Runtime(workers=1))
    with one_core():
        with pytest.raises(KeyboardInterrupt):
            chain.run("digits", STAGE)
        outcome = chain.run("digits", STAGE)
    assert not outcome.reused and len(done) == 11, "ten trainings, of which one was begun twice"
    assert outcome.manifest["content"] == content
