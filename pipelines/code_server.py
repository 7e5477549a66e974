"""The code server of a UI, which loads the definitions for the web server and the daemon: two processes.

The outer one passes questions on, and Dagster starts it again if it ends. The inner one holds the definitions and most
of the memory, and starts the runs. If it is killed, Dagster leaves the UI without assets and the schedules without
effect until somebody restarts the UI. So the outer one is ended too when the inner one has gone.
"""

import logging
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
from dagster import DagsterInstance
from dagster._cli.proxy_server_manager import ProxyServerManager
from dagster._core.workspace.load_target import WorkspaceFileTarget
from ruamel.yaml import YAML

from pipelines.daemon import may_restart

LOGGER = logging.getLogger("growset.ui")
INTERVAL = 2.0  # seconds between two looks at the processes
OUTER, INNER = "code-server", "grpc"  # words of their command lines


@contextmanager
def run_code_server(instance: DagsterInstance, workspace_file: Path) -> Iterator[Path]:
    """One server for the code location; yields a workspace file that names its socket."""
    target = WorkspaceFileTarget([str(workspace_file)])
    with (
        ProxyServerManager(instance, target, code_server_log_level="warning") as servers,
        tempfile.TemporaryDirectory(prefix="growset-ui-") as folder,
        _watch(),
    ):
        path = Path(folder) / "workspace.yaml"
        with path.open("w", encoding="utf-8") as file:
            YAML(typ="safe").dump({"load_from": list(servers.get_code_server_specs())}, file)
        yield path


class Absence:
    """Whether an outer process has lost its inner one, from one look at both after the other.

    A starting one has none yet. One look without it is not enough, for a reload exchanges it.
    """

    def __init__(self) -> None:
        self._outer = 0  # the process of which the rest speaks
        self._served = self._missed = False

    def observe(self, outer: int, has_inner: bool) -> bool:
        """Whether the outer process, by its id, is to be ended now."""
        if outer != self._outer:
            self._outer, self._served, self._missed = outer, False, False
        lost = self._served and self._missed and not has_inner
        self._served = self._served or has_inner
        self._missed = not has_inner
        return lost


@contextmanager
def _watch() -> Iterator[None]:
    ended = threading.Event()
    thread = threading.Thread(target=keep_whole, args=(psutil.Process(), ended), name="code server", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def keep_whole(
    ui: psutil.Process, ended: threading.Event, interval: float = INTERVAL, clock: Callable[[], float] = time.monotonic
) -> None:
    """End the outer process among the children of `ui` whenever its inner one has gone, until `ended` is set.

    As with the daemon, it gives up if that happens too often; the UI then says that its definitions are missing.
    """
    absence = Absence()
    ends: list[float] = []
    while not ended.wait(interval):
        for outer in _find_children(ui, OUTER):
            if not absence.observe(outer.pid, bool(_find_children(outer, INNER))):
                continue
            ends.append(clock())
            if not may_restart(ends, ends[-1]):
                LOGGER.error("the code server ended by itself again and again; start the UI again")
                return
            LOGGER.warning("the code server ended by itself; it is started again")
            outer.kill()


def _find_children(process: psutil.Process, word: str) -> list[psutil.Process]:
    """Living children with this word in their command line."""
    found = []
    try:
        for child in process.children():
            try:
                if word in child.cmdline() and child.status() != psutil.STATUS_ZOMBIE:
                    found.append(child)
            except psutil.NoSuchProcess:
                continue
    except psutil.NoSuchProcess:
        pass  # the process has ended as well
    return found
