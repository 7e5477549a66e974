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
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
from dagster import DagsterInstance
from dagster._cli.proxy_server_manager import ProxyServerManager
from dagster._core.workspace.load_target import WorkspaceFileTarget
from ruamel.yaml import YAML

from pipelines.daemon import may_restart

LOGGER = logging.getLogger("growset.ui")
INTERVAL = 2.0  # seconds between two looks at the processes
LONGEST = 300.0  # seconds without one of them; on a busy machine both take long to start
OUTER, INNER = "code-server", "grpc"  # words of their command lines


@contextmanager
def run_code_server(instance: DagsterInstance, workspace_file: Path, give_up: Callable[[], None]) -> Iterator[Path]:
    """One server for the code location; yields a workspace file that names its socket. `give_up` as in `keep_whole`."""
    target = WorkspaceFileTarget([str(workspace_file)])
    with (
        ProxyServerManager(instance, target, code_server_log_level="warning") as servers,
        tempfile.TemporaryDirectory(prefix="growset-ui-") as folder,
        _watch(give_up),
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
def _watch(give_up: Callable[[], None]) -> Iterator[None]:
    ended = threading.Event()
    watched = (psutil.Process(), ended, give_up)
    thread = threading.Thread(target=keep_whole, args=watched, name="code server", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def keep_whole(
    ui: psutil.Process,
    ended: threading.Event,
    give_up: Callable[[], None],
    interval: float = INTERVAL,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """End the outer process among the children of `ui` whenever its inner one has gone, until `ended` is set.

    A UI without definitions does nothing. So `give_up` is called if that happens too often, as with the daemon, or if
    one of the two is missing for too long: Dagster does not restart an outer process that ended while it was starting.
    """
    absence = Absence()
    ends: list[float] = []
    whole = clock()  # when both were there
    while not ended.wait(interval):
        for outer in _find_children(ui, OUTER):
            has_inner = bool(_find_children(outer, INNER))
            if has_inner:
                whole = clock()
            if not absence.observe(outer.pid, has_inner):
                continue
            ends.append(clock())
            if not may_restart(ends, ends[-1]):
                give_up()
                return
            LOGGER.warning("the code server ended by itself; it is started again")
            with suppress(psutil.NoSuchProcess):  # it has ended meanwhile
                outer.kill()
        if clock() - whole > LONGEST:
            give_up()
            return


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
