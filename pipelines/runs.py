"""Materialize assets of one expansion in this process, through the same job the UI runs."""

import re
import shutil
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import dagster as dg
from sqlalchemy.exc import OperationalError

from assets.place import Place, read_place, source_key
from ops.chain.checks import CHECKS, run_check
from ops.chain.driver import Chain
from ops.errors import ADVICE, EnvironmentFault, GrowsetError, find_fault, hide_credentials
from ops.files.manifests import PUBLISHED
from ops.history.dvc_repository import Busy
from ops.machine.interruption import check
from ops.machine.waiting import Waiting
from ops.recipe.stages import PUBLISHED_INPUTS, STAGES, upstream
from ops.stages.integrity import is_intact
from ops.workspaces.workspace import Workspace
from pipelines.definitions import build_definitions
from pipelines.history import prune_history
from pipelines.instance import open_instance
from pipelines.lost_runs import announce_run, free_lost_runs

BLOCKED = re.compile(r"Step (?:still )?blocked by limit for pool (\S+)")  # Dagster's message
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


class ChainFailed(GrowsetError):
    """A step failed, and neither the user, the machine nor the data is the cause: a bug."""

    def __init__(self, told: str) -> None:
        Exception.__init__(self, hide_credentials(told))  # with its stack, of many lines


def materialize_assets(
    chain: Chain,
    expansion: str,
    assets: Sequence[str] | None = None,
    on_check: Callable[[str, bool, str], None] = lambda name, passed, sentence: None,
) -> None:
    """Materialize the named assets, or all, with their checks, in process.

    Raises the GrowsetError that stopped a step, with its sentence as it was before Dagster wrapped it. A failed
    blocking check raises too, with its sentence, even for an output that is current and was not made now.
    """
    _require_checks(chain.workspace, expansion, assets or [])
    place = read_place(chain.workspace, expansion)
    job = build_definitions(chain.workspace, chain, [expansion]).resolve_job_def(place.job)
    selection = [place.key(name) for name in assets] if assets else None
    if selection:  # with the sources that these stages read
        read = [source for stage in place.sources if stage in (assets or []) for source in place.sources[stage]]
        selection += [source_key(source) for source in dict.fromkeys(read)]
    run_id = str(uuid.uuid4())
    with (
        _history_faults(chain),
        open_instance(chain.workspace) as instance,
        announce_run(chain.workspace, run_id) as tags,
    ):
        free_lost_runs(chain.workspace, instance)
        prune_history(chain.workspace, instance)
        instance.add_event_listener(run_id, _tell_when_blocked(place))
        result = job.execute_in_process(
            instance=instance,
            run_id=run_id,
            tags=tags,
            asset_selection=selection,
            run_config=QUIET,
            raise_on_error=False,
        )
    check()  # Dagster treats an interrupted step as a failed one
    failed_checks = []
    for evaluation in result.get_asset_check_evaluations():
        on_check(
            f"{evaluation.asset_key.path[-1]}: {evaluation.check_name}",
            evaluation.passed,
            evaluation.description or "",
        )
        if not evaluation.passed and evaluation.blocking:
            failed_checks.append(f"{evaluation.check_name}: {evaluation.description}")
    if not result.success:
        raise _explain(result, failed_checks, place)


def _tell_when_blocked(place: Place) -> Callable[[dg.EventLogEntry], None]:
    """A listener to a run's events that reports when a step waits for another run: a pool has one slot."""
    waiting = Waiting()

    def listen(entry: dg.EventLogEntry) -> None:
        event = entry.dagster_event
        message = event.message if event is not None else None
        if event is not None and message is not None and (match := BLOCKED.match(message)):
            waiting.say(f"a slot in the pool {match[1]} for {_name_step(event, place)}: another run has it")

    return listen


def _name_step(event: dg.DagsterEvent, place: Place) -> str:
    """The step without its expansion, which the command named: `scorer` for `digits__scorer`."""
    return (event.step_key or "").removeprefix(f"{place.group}__")


def _require_checks(workspace: Workspace, expansion: str, assets: Sequence[str]) -> None:
    """ChainFailed if a blocking check fails on an output that the assets depend on, so that they cannot be made."""
    needed: set[str] = set()
    for asset in assets:
        inputs = PUBLISHED_INPUTS if asset == PUBLISHED else STAGES[asset].inputs
        needed.update(inputs, *(upstream(name) for name in inputs))
    failed = [
        f"{check.name}: {finding.told}"
        for check in CHECKS
        if check.blocking
        and check.stage in needed - set(assets)
        and is_intact(workspace.output(expansion, check.stage), cache=workspace.hash_cache(expansion, check.stage))
        if not (finding := run_check(check, workspace, expansion)).passed
    ]
    if failed:
        raise ChainFailed(f"a blocking check failed, nothing after it ran: {'; '.join(failed)}")


@contextmanager
def _history_faults(chain: Chain) -> Iterator[None]:
    """Turn errors of Dagster's databases into EnvironmentFault: they lie on the data's disk, which may be full."""
    try:
        yield
    except OperationalError as error:
        free = shutil.disk_usage(chain.workspace.root).free / 1e6
        raise EnvironmentFault(
            f"Dagster's history in {chain.workspace.root} cannot be written: {error.orig}, {free:.1f} MB are free;"
            f" {ADVICE}"
        ) from error


def _links(error: Any) -> Iterator[Any]:
    """Dagster's record of an exception, then those of its causes."""
    while error:
        yield error
        error = error.cause or error.context


def _explain(result: dg.ExecuteInProcessResult, failed_checks: list[str], place: Place) -> GrowsetError:
    """The GrowsetError behind the first failed step, or a ChainFailed with Dagster's message."""
    if failed_checks:
        return ChainFailed(f"a blocking check failed, nothing after it ran: {'; '.join(failed_checks)}")
    for event in result.all_events:
        if event.is_step_failure:
            data = event.step_failure_data
            kind = (data.user_failure_data.label if data.user_failure_data else None) or ""
            error = data.error
            cause = error.cause if error and error.cause else error
            name = cause.cls_name if cause else kind
            message = data.user_failure_data.description if data.user_failure_data else None
            kinds = {kind.__name__: kind for kind in (*GrowsetError.__subclasses__(), Busy)}
            if name in kinds:
                return kinds[name](message or (cause.message if cause else ""))
            for link in _links(error):  # Dagster's own writes between steps fail with its own exceptions
                if fault := find_fault(Exception(link.message)):
                    return EnvironmentFault(f"step {_name_step(event, place)} stopped: {fault}")
            return ChainFailed(
                f"step {_name_step(event, place)} failed: {message or (error.to_string() if error else 'unknown')}"
            )
    return ChainFailed("the run failed outside any step; see the Dagster UI")
