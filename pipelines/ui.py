"""The Dagster UI of a workspace: its web server behind the guard, the daemon and the code server.

It starts and stops the same parts as `dagster dev`: one code server, which reloads when definitions have changed, the
daemon in a process of its own, and the web server in this process, because Dagster's command allows no layer in front.
"""

import logging
import os
import socket
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import click
import uvicorn
from dagster import DagsterInstance, __version__
from dagster._cli.utils import get_possibly_temporary_instance_for_cli
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import WorkspaceFileTarget
from dagster._serdes import serialize_value
from dagster._utils.interrupts import setup_interrupt_handlers
from dagster._utils.log import configure_loggers
from dagster_webserver.app import create_app_from_workspace_process_context

from ops.errors import EnvironmentFault
from ops.workspaces.workspace import Workspace
from pipelines.code_server import run_code_server
from pipelines.daemon import Daemon, run_daemon
from pipelines.origin_guard import OriginGuard, check_host_name
from pipelines.pages import add_pages
from pipelines.reloading import Reloader

ADDRESS = "127.0.0.1"
STATEMENT_TIMEOUT, POOL_RECYCLE, POOL_OVERFLOW = 15_000, 3_600, 20  # dagster-webserver's own: ms, s, connections
POLL = 2_000  # ms between two updates of live data on a page
CLOSE_PAGES = 2  # seconds that open pages get to end
LOST_DEFINITIONS = "the code server, which holds the definitions, cannot be kept alive"
ARENAS = "2"  # glibc's pools of memory per process: more of them keep what the servers' many threads free


def serve(workspace: Workspace, workspace_file: Path, port: int, hosts: Sequence[str]) -> None:
    """Serve the UI of the code location in `workspace_file` on the loopback address until Ctrl-C or SIGTERM.

    `hosts` are further host names that the guard allows. UserError for an invalid name, EnvironmentFault if the port is
    taken, or the daemon or the code server ends by itself again and again.
    """
    hosts = [check_host_name(name) for name in hosts]
    os.environ["DAGSTER_IS_DEV_CLI"] = "1"  # as `dagster dev`: pages show it, and errors include their stack
    os.environ.setdefault("MALLOC_ARENA_MAX", ARENAS)  # read by the processes that start from here
    configure_loggers(formatter="colored", log_level="INFO")
    listener = _listen(port)
    setup_interrupt_handlers()
    ending = Ending()
    try:
        reloader = Reloader(workspace)
        with (
            get_possibly_temporary_instance_for_cli("growset ui", logger=logging.getLogger("dagster")) as instance,
            run_code_server(instance, workspace_file, lambda: ending.begin(LOST_DEFINITIONS)) as location,
            run_daemon(_describe_daemon(instance, location)) as daemon,
            WorkspaceProcessContext(instance, WorkspaceFileTarget([str(location)]), version=__version__) as context,
        ):
            instance.optimize_for_webserver(STATEMENT_TIMEOUT, POOL_RECYCLE, POOL_OVERFLOW)
            pages = create_app_from_workspace_process_context(context, live_data_poll_rate=POLL)
            add_pages(pages, workspace)
            guard = OriginGuard(pages, hosts)
            server = uvicorn.Server(uvicorn.Config(guard, log_level="warning", timeout_graceful_shutdown=CLOSE_PAGES))
            ending.attach(server)
            _watch_daemon(daemon, ending)
            with reloader.watch(lambda: _reload(context)):
                click.echo(f"Dagster UI: http://{ADDRESS}:{port}")
                server.run(sockets=[listener])
            if ending.reason is not None:
                raise EnvironmentFault(f"{ending.reason}; start the UI again")
    except KeyboardInterrupt:
        click.echo("the Dagster UI has stopped")
    finally:
        listener.close()


def _listen(port: int) -> socket.socket:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((ADDRESS, port))
    except OSError as error:
        listener.close()
        raise EnvironmentFault(f"port {port} cannot be used ({error.strerror}); choose another with --port") from error
    return listener


def _describe_daemon(instance: DagsterInstance, location: Path) -> list[str]:
    """The command of Dagster's daemon: sensors, schedules and the queue of runs."""
    options = ["--instance-ref", serialize_value(instance.get_ref()), "--code-server-log-level", "warning"]
    return [sys.executable, "-m", "dagster._daemon", "run", *options, "--workspace", str(location)]


class Ending:
    """The end of the web server, because another part of the UI is lost for good: that part may say so at any time."""

    def __init__(self) -> None:
        self.reason: str | None = None
        self._server: uvicorn.Server | None = None

    def attach(self, server: uvicorn.Server) -> None:
        """End this server, now if a part is lost already."""
        self._server = server
        if self.reason is not None:
            server.should_exit = True

    def begin(self, reason: str) -> None:
        self.reason = reason
        if self._server is not None:
            self._server.should_exit = True

    def has_begun(self) -> bool:
        """Whether the server ends, for this reason or for another one."""
        return self._server is not None and self._server.should_exit


def _watch_daemon(daemon: Daemon, ending: Ending) -> None:
    """Keep the daemon alive in the background; the UI ends if that is in vain."""

    def give_up() -> None:
        ending.begin(f"Dagster's daemon ended by itself ({daemon.given_up})")

    threading.Thread(target=daemon.keep_alive, args=(give_up, ending.has_begun), daemon=True).start()


def _reload(context: WorkspaceProcessContext) -> None:
    """Load the definitions anew; open pages follow by themselves."""
    for name in context.code_location_names:
        context.reload_code_location(name)
        if context.has_code_location_error(name):
            logging.getLogger("growset.ui").warning("the definitions of '%s' cannot be loaded; the UI tells why", name)
