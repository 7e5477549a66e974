"""Locks as another process sees them, while their holder lives and after `kill -9`."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from ops.errors import EnvironmentFault
from ops.workspaces.locks import (
    exclusive,
    exclusive_run,
    exclusive_ui,
    is_alive,
    is_running,
    mark_alive,
    one_builder,
    one_committer,
)
from ops.workspaces.workspace import Workspace
from tests.workspaces import growset

ROOT = Path(__file__).parents[3]
HOLD = """
import sys, time
from pathlib import Path
from ops.workspaces.locks import *
from ops.workspaces.workspace import Workspace
workspace = Workspace(Path(sys.argv[1]))
with {lock}:
    print("held", flush=True)
    time.sleep(600)
"""


def start(script: str, workspace: Workspace) -> subprocess.Popen[str]:
    """A process that holds its lock."""
    command = [sys.executable, "-c", script, str(workspace.root)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "held\n"
    return process


def end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


@pytest.mark.parametrize(
    ("lock", "ask"),
    [
        ('exclusive(workspace, "base", "scorer")', lambda workspace: is_running(workspace, "base", "scorer")),
        ('exclusive_run(workspace, "base")', lambda workspace: is_running(workspace, "base", "run")),
        ('mark_alive(workspace, "a run")', lambda workspace: is_alive(workspace, "a run")),
    ],
)
def test_a_lock_ends_with_its_holder(workspace: Workspace, lock: str, ask: Callable[[Workspace], bool]) -> None:
    assert not ask(workspace)
    process = start(HOLD.format(lock=lock), workspace)
    assert ask(workspace)
    end(process)
    assert not ask(workspace)


def test_mark_alive_ends_with_its_block_and_leaves_no_file(workspace: Workspace) -> None:
    with pytest.raises(RuntimeError), mark_alive(workspace, "a run"):
        raise RuntimeError
    assert not is_alive(workspace, "a run")
    assert list((workspace.root / ".growset" / "locks").iterdir()) == []


def test_a_second_run_of_an_expansion_is_refused(workspace: Workspace) -> None:
    with exclusive_run(workspace, "base"):
        with pytest.raises(EnvironmentFault, match="'base' is being run by another process"):
            exclusive_run(workspace, "base").__enter__()
        with exclusive_run(workspace, "twin"):
            assert is_running(workspace, "twin", "run")


@pytest.mark.parametrize(
    ("lock", "take", "what"),
    [
        (
            'exclusive(workspace, "base", "scorer")',
            lambda workspace: exclusive(workspace, "base", "scorer"),
            "stage scorer of 'base'",
        ),
        (
            'one_builder(workspace, "f")',
            lambda workspace: one_builder(workspace, "f"),
            "an output that another expansion needs too",
        ),
        ("one_committer(workspace)", one_committer, "the git repository"),
    ],
)
def test_a_waiting_process_reports_at_once_and_continues_when_the_lock_is_free(
    workspace: Workspace,
    lock: str,
    take: Callable[[Workspace], AbstractContextManager[None]],
    what: str,
    capfd: pytest.CaptureFixture[str],
) -> None:
    holder = start(HOLD.format(lock=lock), workspace)
    ending = threading.Timer(1.0, end, [holder])
    ending.start()
    with take(workspace):
        ending.join()  # the holder has died, or we would not be here
    assert capfd.readouterr().err == f"growset: waiting for {what}: another process is at it\n"


def test_a_second_ui_is_refused_with_the_address_of_the_first_until_that_has_ended(workspace: Workspace) -> None:
    process = start(HOLD.format(lock='exclusive_ui(workspace, "http://127.0.0.1:3000")'), workspace)
    told = []
    for _ in range(2):  # a refusal leaves the address there
        with pytest.raises(EnvironmentFault) as refused:
            exclusive_ui(workspace, "http://127.0.0.1:3001").__enter__()
        told.append(str(refused.value))
    assert told == ["the UI of this workspace runs already on http://127.0.0.1:3000; open it, or stop it"] * 2
    end(process)
    with (
        exclusive_ui(workspace, "http://127.0.0.1:31"),
        pytest.raises(EnvironmentFault, match="already on http://127.0.0.1:31; open it"),
    ):
        exclusive_ui(workspace, "http://127.0.0.1:32").__enter__()


@pytest.mark.parametrize("expansion", ["base", "idle"])
def test_an_upgrade_waits_for_no_stage_and_changes_nothing_while_one_runs(workspace: Workspace, expansion: str) -> None:
    """Of an expansion that is no longer active, too; a finished stage is in nobody's way."""
    before = (workspace.root / "params.yaml").read_bytes()
    with exclusive(workspace, expansion, "scorer"):
        refused = growset(workspace.root, "upgrade")
    assert refused.exit_code == 3 and not refused.stdout
    assert f"stage scorer of '{expansion}' is being run by another process; wait for it" in refused.stderr
    assert (workspace.root / "params.yaml").read_bytes() == before and not (workspace.root / "dvc.yaml").exists()
    assert growset(workspace.root, "upgrade").exit_code == 0
