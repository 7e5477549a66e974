"""The Dagster UI as `growset ui` starts it, and how to talk to it: launch the chain, ask how it stands."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
import psutil
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin, Subprotocol

from ops.workspaces.names import identifier
from tests.workspaces import user_environment

LAUNCH = """
mutation Launch($params: ExecutionParams!) {
  launchPipelineExecution(executionParams: $params) {
    __typename
    ... on LaunchRunSuccess { run { runId } }
    ... on PythonError { message }
    ... on RunConfigValidationInvalid { errors { message } }
  }
}
"""
TERMINATE = "mutation Stop($id: String!) { terminateRun(runId: $id) { __typename ... on PythonError { message } } }"
STATUS = "query Run($id: ID!) { runOrError(runId: $id) { ... on Run { status } } }"
LOCATIONS = "{ repositoriesOrError { ... on RepositoryConnection { nodes { name location { name } } } } }"
ENDED = ("SUCCESS", "FAILURE", "CANCELED")


class Client:
    """GraphQL over HTTP to one UI."""

    def __init__(self, port: int, process: int) -> None:
        self.origin = f"http://127.0.0.1:{port}"
        self.process = process  # id of `growset ui`

    def ask(self, query: str, **variables: Any) -> dict[str, Any]:
        """As the UI's pages ask."""
        body = json.dumps({"query": query, "variables": variables}).encode()
        headers = {"Content-Type": "application/json", "Origin": self.origin}
        request = urllib.request.Request(f"{self.origin}/graphql", body, headers)
        with urllib.request.urlopen(request, timeout=30) as answer:
            data: dict[str, Any] = json.load(answer)["data"]
            return data

    def request(self, path: str, body: bytes | None = None, **headers: str) -> tuple[int, str]:
        """Status and body of any request; names of headers with _ for -."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        request = urllib.request.Request(f"{self.origin}{path}", body, named)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as refused:
            return refused.code, refused.read().decode()

    def download(self, path: str) -> tuple[bytes, Mapping[str, str]]:
        """The bytes of an address and the headers that came with them."""
        with urllib.request.urlopen(f"{self.origin}{path}", timeout=30) as answer:
            return answer.read(), answer.headers

    @contextmanager
    def subscribe(self, query: str, *, origin: str | None = None, **variables: Any) -> Iterator[ClientConnection]:
        """A websocket on which the answers to a subscription arrive, as a page opens it."""
        address = f"{self.origin.replace('http', 'ws')}/graphql"
        with connect(
            address, origin=Origin(origin or self.origin), subprotocols=[Subprotocol("graphql-ws")]
        ) as channel:
            channel.send(json.dumps({"type": "connection_init"}))
            assert json.loads(channel.recv(30))["type"] == "connection_ack"
            payload = {"query": query, "variables": variables}
            channel.send(json.dumps({"id": "1", "type": "start", "payload": payload}))
            yield channel

    def launch(self, expansion: str) -> str:
        """Start the job of an expansion, as the launchpad does; the run's id."""
        (repository,) = self.ask(LOCATIONS)["repositoriesOrError"]["nodes"]
        assert repository["location"]["name"] == "growset"
        job = f"expand_{identifier(expansion)}"
        selector = {"repositoryLocationName": "growset", "repositoryName": repository["name"], "jobName": job}
        parameters = {
            "selector": selector,
            "executionMetadata": {"tags": []},
            "runConfigData": {},
        }
        launched = self.ask(LAUNCH, params=parameters)["launchPipelineExecution"]
        assert launched["__typename"] == "LaunchRunSuccess", launched
        run_id: str = launched["run"]["runId"]
        return run_id

    def status(self, run_id: str) -> str:
        status: str = self.ask(STATUS, id=run_id)["runOrError"]["status"]
        return status

    def terminate(self, run_id: str) -> None:
        """Stop a run, as the button on its page does."""
        answer = self.ask(TERMINATE, id=run_id)["terminateRun"]
        assert answer["__typename"] == "TerminateRunSuccess", answer

    def wait_for_end(self, run_id: str, *, seconds: float) -> str:
        """The status in which the run ended."""

        def ended() -> str | None:
            status = self.status(run_id)
            return status if status in ENDED else None

        return str(wait_for(ended, seconds=seconds))


@contextmanager
def serve(root: Path, log: Path | None = None) -> Iterator[Client]:
    """`growset ui` in a workspace; it is there when its code location has loaded. What it prints is appended to `log`,
    by default ui.log beside the workspace."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    command = [sys.executable, "-m", "pipelines.cli.main", "--workspace", str(root), "ui", "--port", str(port)]
    with (log or root.parent / "ui.log").open("a") as file:
        process = subprocess.Popen(command, env=user_environment(), stdout=file, stderr=file, start_new_session=True)
    client = Client(port, process.pid)
    try:
        wait_for(lambda: client.ask(LOCATIONS)["repositoriesOrError"].get("nodes"), seconds=180)
        yield client
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
        process.wait(timeout=60)


def wait_for(condition: Callable[[], Any], *, seconds: float) -> Any:
    """The first true answer."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if found := condition():
                return found
        except OSError:
            pass  # not listening yet
        time.sleep(1)
    raise AssertionError(f"nothing within {seconds} s")


def find_code_server(ui: int) -> psutil.Process:
    """The outer process of the code server that a UI has started; the inner one is its child."""
    return next(child for child in list_living(ui) if "code-server" in child.cmdline())


def list_living(ui: int) -> list[psutil.Process]:
    """The child processes of a UI, without one that was killed just now, which has no command line."""
    return [child for child in psutil.Process(ui).children() if child.status() != psutil.STATUS_ZOMBIE]


def find_worker(root: Path, run_id: str) -> int:
    """Process id of a run of the UI, from the history; 0 before it has begun."""
    with dg.DagsterInstance.from_config(str(root / ".growset" / "dagster")) as instance:
        events = instance.all_logs(run_id, of_type=dg.DagsterEventType.ENGINE_EVENT)
    found = [
        match for event in events if (match := re.search(r"Started process for run \(pid: (\d+)\)", event.message))
    ]
    return int(found[0][1]) if found else 0
