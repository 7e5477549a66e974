"""A run whose steps all wait for a slot sleeps, asks often enough, and ends when its user stops it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.errors import DagsterExecutionInterruptedError
from dagster._core.test_utils import create_run_for_test

from assets.pools import COMPUTE
from ops.workspaces.workspace import Workspace
from pipelines import slot_waits
from pipelines.instance import open_instance
from pipelines.slot_waits import FIRST, LONGEST, shorten_waits

OTHER = "5f3c3b4e-0000-4000-8000-000000000001"
QUESTIONS = 25


@dg.asset(pool=COMPUTE)
def waiting() -> None:
    pass


@pytest.fixture
def instance(fresh_workspace: Path) -> Iterator[dg.DagsterInstance]:
    """Another run has the slot."""
    shorten_waits()
    with open_instance(Workspace(fresh_workspace)) as instance:
        instance.event_log_storage.initialize_concurrency_limit_to_default(COMPUTE)
        create_run_for_test(instance, run_id=OTHER, status=dg.DagsterRunStatus.STARTED)
        assert instance.event_log_storage.claim_concurrency_slot(COMPUTE, OTHER, "generator").is_claimed
        yield instance


@pytest.fixture
def watch_sleep(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[int], None]], list[float]]:
    """Let a test's clock run on by each pause, without waiting; the function gets the number of the pause."""

    def watch(act: Callable[[int], None]) -> list[float]:
        pauses: list[float] = []
        started = time.time()

        def sleep(seconds: float) -> None:
            pauses.append(seconds)
            act(len(pauses))

        monkeypatch.setattr(slot_waits.time, "sleep", sleep)
        monkeypatch.setattr(slot_waits.time, "time", lambda: started + sum(pauses) + 0.001 * len(pauses))
        return pauses

    return watch


def test_it_sleeps_between_questions_and_never_long(
    instance: dg.DagsterInstance, watch_sleep: Callable[[Callable[[int], None]], list[float]]
) -> None:
    def let_go(number: int) -> None:
        if number == QUESTIONS:
            instance.event_log_storage.free_concurrency_slots_for_run(OTHER)

    pauses = watch_sleep(let_go)
    assert dg.materialize([waiting], instance=instance).success
    assert len(pauses) <= QUESTIONS + 2
    assert all(0 < pause < 1.01 * LONGEST for pause in pauses)
    assert pauses[0] == pytest.approx(FIRST, rel=0.01) and max(pauses) > LONGEST / 2


def test_it_asks_again_soon_when_the_clock_was_set_back(
    instance: dg.DagsterInstance,
    watch_sleep: Callable[[Callable[[int], None]], list[float]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def set_back_and_let_go(number: int) -> None:
        if number == 3:
            now = time.time
            monkeypatch.setattr(slot_waits.time, "time", lambda: now() - 3600)
        if number == 6:
            instance.event_log_storage.free_concurrency_slots_for_run(OTHER)

    pauses = watch_sleep(set_back_and_let_go)
    assert dg.materialize([waiting], instance=instance).success
    assert len(pauses) <= 8
    assert max(pauses) < 1.01 * LONGEST


def test_a_slot_that_is_freed_while_a_step_is_queued_is_promised_to_it(
    instance: dg.DagsterInstance,
    watch_sleep: Callable[[Callable[[int], None]], list[float]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The other run ends after Dagster has looked for a free slot, and before it queues the step."""
    storage = instance.event_log_storage
    look = getattr(storage, "has_unassigned_slots")  # noqa: B009  of the storage that runs here, not of its base

    def look_too_early(pool: str) -> bool:
        found = look(pool)
        storage.free_concurrency_slots_for_run(OTHER)
        return found

    def give_up(number: int) -> None:
        assert number < QUESTIONS, "the step waits for a slot that is free"

    monkeypatch.setattr(storage, "has_unassigned_slots", look_too_early)
    pauses = watch_sleep(give_up)
    assert dg.materialize([waiting], instance=instance).success
    assert len(pauses) <= 3


def test_it_ends_when_the_run_is_stopped(
    instance: dg.DagsterInstance, watch_sleep: Callable[[Callable[[int], None]], list[float]]
) -> None:
    def stop(number: int) -> None:
        raise DagsterExecutionInterruptedError

    pauses = watch_sleep(stop)
    assert not dg.materialize([waiting], instance=instance, raise_on_error=False).success
    assert len(pauses) == 1
    pending = instance.event_log_storage.get_concurrency_info(COMPUTE).pending_steps
    assert {step.run_id for step in pending} == {OTHER}  # which has the slot; the stopped run no longer asks for it
