"""Which steps wait for each other, and how a stopped step of a source or a publication ends."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import pytest
from dagster._core.errors import DagsterExecutionInterruptedError

from assets.outcome import growset_errors
from assets.pools import read_device
from assets.retries import REMOTE
from ops.chain.driver import Chain
from ops.errors import EnvironmentFault, UserError
from ops.stages.materialization import Runtime
from ops.workspaces.workspace import Workspace
from pipelines.definitions import build_definitions


def list_pools(workspace: Workspace, chain: Chain | None = None) -> dict[str, set[str]]:
    """The pools of each asset's steps, by its last name."""
    job = build_definitions(workspace, chain).resolve_job_def("expand_digits")
    return {
        key.path[-1]: set(job.asset_layer.asset_graph.get(key).pools or ())
        for key in job.asset_layer.executable_asset_keys
    }


def test_each_step_takes_its_turn(fresh_workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace = Workspace(fresh_workspace)
    pools = list_pools(workspace)
    assert pools.pop("published_dataset") == {"dvc"}
    assert set().union(*pools.values()) == {"compute"} and all(pools.values())

    monkeypatch.setenv("GROWSET_DEVICE", "cuda:1")
    shared = list_pools(workspace)
    assert shared["generator"] == shared["expanded_classifiers"] == {"gpu"}
    assert shared["digits"] == shared["scorer"] == shared["accepted_images"] == {"compute"}
    assert list_pools(workspace, Chain(workspace, Runtime()))["generator"] == {"compute"}  # its device is known
    assert list_pools(workspace, Chain(workspace, Runtime(device="cuda")))["generator"] == {"gpu"}

    monkeypatch.setenv("DVC_STAGE", "scorer@digits")
    assert set().union(*list_pools(workspace).values()) == set()


def test_an_unknown_device_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    assert read_device() == "cpu"
    monkeypatch.setenv("GROWSET_DEVICE", "tpu")
    with pytest.raises(UserError, match="GROWSET_DEVICE is 'tpu'; allowed: cpu, cuda and cuda:N"):
        read_device()


@pytest.mark.parametrize(
    ("error", "tries"),
    [(DagsterExecutionInterruptedError(), 1), (UserError("a mistake"), 1), (EnvironmentFault("the remote"), 4)],
)
def test_only_a_fault_of_the_machine_is_tried_again(error: BaseException, tries: int) -> None:
    """A run that its user stops ends. Dagster itself would run the step again, because of its policy."""
    calls = 0
    quick = dg.RetryPolicy(max_retries=REMOTE.max_retries)

    @dg.asset(retry_policy=quick)
    def asking() -> None:
        nonlocal calls
        calls += 1
        with growset_errors(retry=True):
            raise error

    with dg.DagsterInstance.ephemeral() as instance:
        assert not dg.materialize([asking], instance=instance, raise_on_error=False).success
    assert calls == tries
