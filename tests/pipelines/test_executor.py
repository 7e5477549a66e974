"""Which executor a run of the UI gets, that a run is seen to live, and that its expansion is its tag."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import dagster as dg
import pytest
from dagster._core.execution.context.system import PlanOrchestrationContext
from dagster._core.execution.plan.plan import ExecutionPlan
from dagster._core.executor.in_process import InProcessExecutor
from dagster._core.executor.multiprocess import MultiprocessExecutor

from ops.errors import UserError
from ops.workspaces.locks import is_alive
from ops.workspaces.workspace import Workspace
from pipelines.executor import ChainExecutor, build_executor, has_slices, read_kind

RUN = "5f3c3b4e-0000-4000-8000-000000000001"
CUT = {"resources": {"chain": {"config": {"slices": 2}}}}


@pytest.mark.parametrize(
    ("config", "several"),
    [({}, False), ({"resources": {"chain": {"config": {"device": "cpu"}}}}, False), (CUT, True)],
)
def test_slices_are_found_in_the_runs_configuration(config: dict[str, Any], several: bool) -> None:
    assert has_slices(config) is several


def test_the_variable_names_an_executor(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert read_kind() == "in_process"
    monkeypatch.setenv("GROWSET_EXECUTOR", "multiprocess")
    assert read_kind() == "multiprocess"
    monkeypatch.setenv("GROWSET_EXECUTOR", "celery")
    with pytest.raises(UserError, match="GROWSET_EXECUTOR is 'celery'; allowed: in_process and multiprocess"):
        build_executor(Workspace(tmp_path))


@pytest.mark.parametrize(
    ("kind", "config", "used"),
    [
        ("in_process", {}, InProcessExecutor),
        ("in_process", CUT, MultiprocessExecutor),
        ("multiprocess", {}, MultiprocessExecutor),
    ],
)
def test_a_run_lives_while_its_executor_works(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kind: str, config: dict[str, Any], used: type[dg.Executor]
) -> None:
    workspace, seen = Workspace(tmp_path), []

    def work(executor: dg.Executor, plan_context: object, plan: object) -> Iterator[str]:
        seen.append((type(executor), is_alive(workspace, RUN)))
        yield "an event"

    for each in (InProcessExecutor, MultiprocessExecutor):
        monkeypatch.setattr(each, "execute", work)
    with dg.DagsterInstance.ephemeral() as instance:
        keys = {dg.AssetKey(["sources", "images"]), dg.AssetKey(["digits", "scorer"])}
        run = instance.add_run(dg.DagsterRun("part", run_id=RUN, asset_selection=frozenset(keys)))
        context = SimpleNamespace(run_config=config, run_id=RUN, dagster_run=run, instance=instance)
        events = ChainExecutor(workspace, kind).execute(
            cast(PlanOrchestrationContext, context), cast(ExecutionPlan, None)
        )
        assert list(events) == ["an event"]
        tagged = instance.get_run_by_id(RUN)
        assert tagged is not None and tagged.tags["growset/expansion"] == "digits"
    assert seen == [(used, True)]
    assert not is_alive(workspace, RUN)
