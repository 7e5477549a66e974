"""The Dagster UI as `growset ui` starts it: the location loads, a run launched there goes through the multiprocess
executor, and DVC finds its outputs current afterwards."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ops.versioning import changed_stages, stage_addresses
from tests.workspaces import ROOT

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
STATUS = "query Run($id: ID!) { runOrError(runId: $id) { ... on Run { status } } }"
LOCATIONS = "{ repositoriesOrError { ... on RepositoryConnection { nodes { name location { name } } } } }"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Client:
    """GraphQL over HTTP to one UI."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}/graphql"

    def ask(self, query: str, **variables: Any) -> dict[str, Any]:
        body = json.dumps({"query": query, "variables": variables}).encode()
        request = urllib.request.Request(self.url, body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            data: dict[str, Any] = json.load(answer)["data"]
            return data


@pytest.fixture
def ui(fresh_workspace: Path) -> Iterator[tuple[Client, Path]]:
    port = free_port()
    environment = {**os.environ, "PYTHONPATH": str(ROOT),
                   "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}  # fmt: skip
    command = [sys.executable, "-m", "pipelines.cli", "--workspace", str(fresh_workspace), "ui", "--port", str(port)]
    log = (fresh_workspace / "ui.log").open("w")
    process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
    client = Client(port)
    try:
        wait_for(lambda: client.ask(LOCATIONS)["repositoriesOrError"].get("nodes"), seconds=90)
        yield client, fresh_workspace
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(timeout=30)
        log.close()


def wait_for(condition: Any, *, seconds: float) -> Any:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if found := condition():
                return found
        except OSError:
            pass  # not listening yet
        time.sleep(1)
    raise AssertionError(f"nothing within {seconds} s")


@pytest.mark.slow
def test_a_run_launched_in_the_ui_makes_the_chain_and_leaves_dvc_clean(ui: tuple[Client, Path]) -> None:
    client, root = ui
    (repository,) = client.ask(LOCATIONS)["repositoriesOrError"]["nodes"]
    assert repository["location"]["name"] == "growset"
    launched = client.ask(
        LAUNCH,
        params={
            "selector": {
                "repositoryLocationName": "growset", "repositoryName": repository["name"], "jobName": "expand",
            },
            "executionMetadata": {"tags": [{"key": "dagster/partition", "value": "digits"}]},
            "runConfigData": {},
        },
    )["launchPipelineExecution"]  # fmt: skip
    assert launched["__typename"] == "LaunchRunSuccess", launched
    run_id = launched["run"]["runId"]

    def finished() -> str | None:
        status: str = client.ask(STATUS, id=run_id)["runOrError"]["status"]
        return status if status in ("SUCCESS", "FAILURE", "CANCELED") else None

    assert wait_for(finished, seconds=400) == "SUCCESS"
    assert changed_stages(root, stage_addresses("digits")) == {}
    assert (root / "published" / "digits" / "README.md").exists()
