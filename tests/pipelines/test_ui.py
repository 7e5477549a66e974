"""The Dagster UI as `growset ui` starts it: the location loads, a run launched there makes the whole chain in one
process, and DVC finds its outputs current afterwards; foreign requests are refused, pages and live data are served."""

import json
import socket
from pathlib import Path
from urllib.parse import quote

import pytest
from websockets.exceptions import InvalidStatus

from ops.history.dvc_repository import changed_stages, stage_addresses
from tests.ui import Client, serve, wait_for
from tests.workspaces import growset

RELOAD = """
mutation { reloadRepositoryLocation(repositoryLocationName: "growset") {
  __typename ... on WorkspaceLocationEntry { loadStatus }
} }
"""
GROUPS = "{ assetNodes(loadMaterializations: false) { id groupName } }"
DAEMONS = "{ instance { daemonHealth { allDaemonStatuses { daemonType required healthy } } } }"
EVENTS = """
subscription Events($id: ID!) { pipelineRunLogs(runId: $id) {
  __typename ... on PipelineRunLogsSubscriptionSuccess { messages { __typename } }
} }
"""


@pytest.mark.slow
def test_a_run_launched_in_the_ui_makes_the_chain_and_leaves_dvc_clean(fresh_workspace: Path) -> None:
    with serve(fresh_workspace) as client:
        check_pages(client)
        check_refusals(client)
        run_id = client.launch("digits")
        with client.subscribe(EVENTS, id=run_id) as channel:
            answer = json.loads(channel.recv(60))
            assert answer["type"] == "data" and answer["payload"]["data"]["pipelineRunLogs"]["messages"], answer
        assert client.wait_for_end(run_id, seconds=900) == "SUCCESS"
        wait_for(lambda: are_healthy(client), seconds=60)
        check_reload(client, fresh_workspace)
    assert changed_stages(fresh_workspace, stage_addresses("digits")) == {}
    assert (fresh_workspace / "published" / "digits" / "README.md").exists()
    log = (fresh_workspace.parent / "ui.log").read_text()
    assert "the Dagster UI has stopped" in log and "Traceback" not in log


def check_pages(client: Client) -> None:
    for path in (
        "/",
        "/assets/digits/real_images",
        "/runs",
        "/locations/growset@growset/jobs/expand_digits/playground",
    ):
        status, page = client.request(path, Sec_Fetch_Site="cross-site")  # a link somewhere else leads here
        assert status == 200 and '"telemetryEnabled": false' in page
    (script, *_) = [part.partition('"')[0] for part in page.split('src="')[1:]]
    assert client.request(script, Origin=client.origin)[0] == 200
    assert json.loads(client.request("/graphql?query={version}")[1])["data"]["version"]


def check_refusals(client: Client) -> None:
    mutation = json.dumps({"query": RELOAD}).encode()
    kind = {"Content_Type": "application/json"}
    assert client.request("/graphql", mutation, **kind)[0] == 200
    assert client.request("/graphql", mutation, **kind, Origin="http://evil.example")[0] == 403
    assert client.request("/graphql", mutation, **kind, Origin="null")[0] == 403
    assert client.request("/graphql", mutation, **kind, Host="evil.example")[0] == 403
    assert client.request("/", Host="evil.example:3000")[0] == 403
    for path in ("/graphql", "/graphql%0a"):
        assert client.request(f"{path}?query={quote(RELOAD)}")[0] == 405
        assert client.request(f"{path}?query={quote(RELOAD)}", b"", Content_Type="text/plain")[0] == 415
    with pytest.raises(InvalidStatus, match="403"), client.subscribe(EVENTS, origin="http://evil.example", id="x"):
        pass


def are_healthy(client: Client) -> bool:
    statuses = client.ask(DAEMONS)["instance"]["daemonHealth"]["allDaemonStatuses"]
    return all(daemon["healthy"] for daemon in statuses if daemon["required"])


def check_reload(client: Client, root: Path) -> None:
    """A recipe that was activated since is a group of assets after the reload, which the button in the UI asks for."""
    recipes = root / "recipes"
    (recipes / "second.yaml").write_text((recipes / "digits.yaml").read_text())
    assert growset(root, "activate", "second").exit_code == 0
    entry = client.ask(RELOAD)["reloadRepositoryLocation"]
    assert entry == {"__typename": "WorkspaceLocationEntry", "loadStatus": "LOADED"}
    assert {node["groupName"] for node in client.ask(GROUPS)["assetNodes"]} == {"sources", "digits", "second"}
    assert growset(root, "deactivate", "second").exit_code == 0


def test_a_taken_port_and_an_invalid_name_are_reported(fresh_workspace: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        result = growset(fresh_workspace, "ui", "--port", str(taken.getsockname()[1]))
    assert (result.exit_code, result.output.count("\n")) == (3, 1)
    assert "cannot be used (Address already in use); choose another with --port" in result.output
    result = growset(fresh_workspace, "ui", "--allow-host", "https://ui.example.org")
    assert result.exit_code == 2 and "allowed: the name of one host" in result.output
