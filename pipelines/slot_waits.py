"""How a step waits for a slot in a pool: asleep, and not much longer than it has to.

While all steps of a run wait, Dagster 1.13 asks without a pause whether the time to ask has come, which burns a core:
`interval_to_next_pending_claim_check` takes the minimum of 0 and the time that is left. The time itself grows to 15
seconds, in which a slot that has been promised to the step is idle. If the clock is set back by an hour, it asks again
after an hour. And a run that waits does not notice that its user has stopped it.

A step may also wait for ever for a slot that is free. Dagster looks whether a slot is free, then queues the step, and a
slot that is freed promises itself to a queued step. A slot that is freed between the two is promised to nobody, until
another one is. So a run that waits promises free slots to those who have queued for longest, itself or others.
"""

import time
from typing import Any

from dagster._core.errors import raise_execution_interrupts
from dagster._core.execution.plan import instance_concurrency_context as claiming
from dagster._core.execution.plan.active import ActiveExecution
from dagster._core.execution.plan.step import ExecutionStep

FIRST, LONGEST = 0.2, 2.0  # seconds from one question to the next; each costs some milliseconds

_find_steps = ActiveExecution.get_steps_to_execute


def shorten_waits() -> None:
    """From now on runs in this process, and the processes that it orchestrates, wait as described above."""
    claiming.INITIAL_INTERVAL_VALUE = FIRST  # type: ignore[assignment]
    claiming.MAX_CONCURRENCY_CLAIM_BLOCKED_INTERVAL = LONGEST  # type: ignore[assignment]
    ActiveExecution.get_steps_to_execute = _find_steps_or_sleep  # type: ignore[method-assign]


def _find_steps_or_sleep(self: ActiveExecution, *arguments: Any, **options: Any) -> list[ExecutionStep]:
    steps = list(_find_steps(self, *arguments, **options))
    pause = 0.0 if steps or self._in_flight else _find_pause(self)
    if pause > 0:
        _promise_free_slots(self)
        with raise_execution_interrupts():
            time.sleep(pause)
    return steps


def _promise_free_slots(execution: ActiveExecution) -> None:
    """Where a pool has more slots than it has promised, promise one to the step that has queued for longest.

    Two runs that do so at once may promise one slot twice. The slot is then given to the first that asks.
    """
    claims = execution._instance_concurrency_context
    if claims is None or not claims.has_pending_claims():
        return
    storage = claims._instance.event_log_storage
    for pool in sorted(storage.get_concurrency_keys()):
        if storage.has_unassigned_slots(pool):  # type: ignore[attr-defined]
            storage.assign_pending_steps([pool])  # type: ignore[attr-defined]


def _find_pause(execution: ActiveExecution) -> float:
    """Seconds until a step may ask for a slot again, or is tried again; 0 if none waits."""
    now = time.time()
    moments = list(execution._waiting_to_retry.values())
    claims = execution._instance_concurrency_context
    if claims is not None and claims.has_pending_claims():
        for step, moment in claims._pending_timeouts.items():
            claims._pending_timeouts[step] = min(moment, now + LONGEST)  # later only if the clock was set back
        moments += claims._pending_timeouts.values()
    return max(0.0, min(moments) - now) if moments else 0.0
