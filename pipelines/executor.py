"""Where the steps of a run in the UI compute: one after another in the run's own process, or each in one of its own.

A process for each step costs about two seconds of a core a step, and the steps of a chain cannot run side by side
anyway: each uses all cores. Slices of the generation can, on several GPUs or nodes, so a run with slices gets
processes. A run on the command line is in its own process in any case.
"""

import os
from collections.abc import Iterator, Mapping
from typing import Any

import dagster as dg
from dagster._core.execution.context.system import PlanOrchestrationContext
from dagster._core.execution.plan.plan import ExecutionPlan
from dagster._core.execution.retries import RetryMode
from dagster._core.executor.in_process import InProcessExecutor
from dagster._core.executor.multiprocess import MultiprocessExecutor

from assets.place import EXPANSION
from ops.errors import UserError
from ops.workspaces.locks import mark_alive
from ops.workspaces.workspace import Workspace
from pipelines.history import prune_history
from pipelines.run_expansions import find_expansions

VARIABLE = "GROWSET_EXECUTOR"
IN_PROCESS, MULTIPROCESS = KINDS = ("in_process", "multiprocess")


def read_kind() -> str:
    """The kind of executor that $GROWSET_EXECUTOR names; UserError if it names none."""
    kind = os.environ.get(VARIABLE) or IN_PROCESS
    if kind not in KINDS:
        raise UserError(f"{VARIABLE} is {kind!r}; allowed: {' and '.join(KINDS)}")
    return kind


def has_slices(run_config: Mapping[str, Any]) -> bool:
    """Whether the run's configuration cuts the generation into several slices."""
    chain = run_config.get("resources", {}).get("chain", {})
    slices = chain.get("config", {}).get("slices", 1)
    return isinstance(slices, int) and slices > 1


class ChainExecutor(dg.Executor):
    """Runs the steps here or in processes of their own, once the history is pruned. While it runs, other processes see
    that the run is alive."""

    def __init__(self, workspace: Workspace, kind: str) -> None:
        self.workspace = workspace
        self.kind = kind

    @property
    def retries(self) -> RetryMode:
        return RetryMode.ENABLED

    def execute(
        self, plan_context: PlanOrchestrationContext, execution_plan: ExecutionPlan
    ) -> Iterator[dg.DagsterEvent]:
        several = self.kind == MULTIPROCESS or has_slices(plan_context.run_config)
        inner: dg.Executor = (
            MultiprocessExecutor(self.retries, max_concurrent=None, start_method="forkserver")
            if several
            else InProcessExecutor(self.retries)
        )
        _tag_expansion(plan_context)
        prune_history(self.workspace, plan_context.instance)
        with mark_alive(self.workspace, plan_context.run_id):
            yield from inner.execute(plan_context, execution_plan)


def _tag_expansion(plan_context: PlanOrchestrationContext) -> None:
    """Tag a run of some assets of one expansion as its job's runs are tagged; Dagster runs them through no job."""
    run = plan_context.dagster_run
    names = find_expansions(run)
    if EXPANSION not in run.tags and len(names) == 1:
        plan_context.instance.add_run_tags(run.run_id, {EXPANSION: next(iter(names))})


def build_executor(workspace: Workspace) -> dg.ExecutorDefinition:
    """The executor of a workspace's code location. UserError for an unknown $GROWSET_EXECUTOR."""
    kind = read_kind()

    @dg.executor(name="chain_executor", requirements=dg.multiple_process_executor_requirements())
    def chain_executor(context: dg.InitExecutorContext) -> dg.Executor:
        return ChainExecutor(workspace, kind)

    return chain_executor
