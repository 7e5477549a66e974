"""The UI ends, with one sentence, when its daemon or its code server is lost for good."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import uvicorn

from ops.errors import EnvironmentFault
from ops.workspaces.workspace import Workspace
from pipelines import daemon, ui
from pipelines.ui import Ending, serve


@pytest.mark.parametrize("early", [True, False])
def test_a_part_may_be_lost_before_the_server_is_there(early: bool) -> None:
    ending, server = Ending(), uvicorn.Server(uvicorn.Config("none"))
    assert not ending.has_begun()
    for step in (lambda: ending.begin("lost"), lambda: ending.attach(server))[:: 1 if early else -1]:
        assert not ending.has_begun() and not server.should_exit
        step()
    assert ending.has_begun() and server.should_exit and ending.reason == "lost"


@pytest.mark.parametrize(
    ("part", "sentence"),
    [
        ("code server", "the code server, which holds the definitions, cannot be kept alive"),
        ("daemon", r"Dagster's daemon ended by itself \(3\)"),
    ],
)
def test_the_ui_ends_when_a_part_is_given_up(
    fresh_workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: str, sentence: str
) -> None:
    """A service is then started anew; else it would stay without definitions, or without schedules."""

    @contextmanager
    def run_nothing(instance: object, workspace_file: Path, give_up: Callable[[], None]) -> Iterator[Path]:
        if part == "code server":
            threading.Timer(0.5, give_up).start()
        location = tmp_path / "nothing.yaml"
        location.write_text("load_from: []\n")
        yield location

    program = "sleep 100" if part == "code server" else "exit 3"
    monkeypatch.setattr(ui, "run_code_server", run_nothing)
    monkeypatch.setattr(ui, "_describe_daemon", lambda instance, location: ["sh", "-c", program])
    monkeypatch.setattr(ui, "setup_interrupt_handlers", lambda: None)
    monkeypatch.setattr(ui, "configure_loggers", lambda **options: None)
    monkeypatch.setattr(daemon.Daemon.keep_alive, "__defaults__", (0.0,))  # no pause
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    monkeypatch.setenv("DAGSTER_IS_DEV_CLI", "1")
    monkeypatch.setenv("MALLOC_ARENA_MAX", "2")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with pytest.raises(EnvironmentFault, match=f"^{sentence}; start the UI again$"):
        serve(Workspace(fresh_workspace), Path("workspace.yaml"), port, [])
