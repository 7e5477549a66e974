"""The Dagster UI as `growset ui` starts it: the location loads, a run launched there makes the whole chain in one
process, and DVC finds its outputs current afterwards; foreign requests are refused, pages and live data are served,
pictures and the report come by address, and changed recipes appear by themselves."""

import json
import socket
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote

import psutil
import pytest
from websockets.exceptions import InvalidStatus

from ops.history.dvc_repository import changed_stages, stage_addresses
from ops.workspaces.locks import exclusive_ui
from ops.workspaces.workspace import Workspace
from pipelines.cli.serving import TIMES
from tests.ui import Client, find_code_server, list_living, serve, wait_for
from tests.workspaces import growset

RELOAD = """
mutation { reloadRepositoryLocation(repositoryLocationName: "growset") {
  __typename ... on WorkspaceLocationEntry { loadStatus }
} }
"""
NODES = "{ assetNodes(loadMaterializations: false) { id groupName description } }"
METADATA = """
query Asset($key: AssetKeyInput!) { assetOrError(assetKey: $key) { ... on Asset { assetMaterializations(limit: 1) {
  metadataEntries { label ... on MarkdownMetadataEntry { mdStr } ... on UrlMetadataEntry { url } }
} } } }
"""
DAEMONS = "{ instance { daemonHealth { allDaemonStatuses { daemonType required healthy } } } }"
EVENTS = """
subscription Events($id: ID!) { pipelineRunLogs(runId: $id) {
  __typename ... on PipelineRunLogsSubscriptionSuccess { messages { __typename } }
} }
"""


@pytest.mark.slow
def test_a_run_launched_in_the_ui_makes_the_chain_and_leaves_dvc_clean(fresh_workspace: Path) -> None:
    log = fresh_workspace.parent / "ui.log"
    with serve(fresh_workspace) as client:
        check_pages(client)
        check_refusals(client)
        run_id = client.launch("digits")
        with client.subscribe(EVENTS, id=run_id) as channel:
            answer = json.loads(channel.recv(60))
            assert answer["type"] == "data" and answer["payload"]["data"]["pipelineRunLogs"]["messages"], answer
        assert client.wait_for_end(run_id, seconds=900) == "SUCCESS"
        wait_for(lambda: are_healthy(client), seconds=60)
        check_pictures(client, fresh_workspace)
        check_reload(client, fresh_workspace)
        check_daemon(client)
        assert "Traceback" not in log.read_text()
        check_code_server(client, log)  # a tick that needs it meanwhile fails
    assert changed_stages(fresh_workspace, stage_addresses("digits")) == {}
    assert (fresh_workspace / "published" / "digits" / "README.md").exists()
    assert "the Dagster UI has stopped" in log.read_text()


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


def read_metadata(client: Client, stage: str) -> dict[str, str]:
    """Pictures, links and texts on the page of an asset, in their order."""
    asset = client.ask(METADATA, key={"path": ["digits", stage]})["assetOrError"]
    entries = asset["assetMaterializations"][0]["metadataEntries"]
    return {entry["label"]: entry.get("mdStr") or entry.get("url") or "" for entry in entries}


def check_pictures(client: Client, root: Path) -> None:
    for stage, name in (("real_images", "contact_sheet"), ("accepted_images", "rejected_sheet")):
        shown = read_metadata(client, stage)
        assert next(iter(shown)) == "contact_sheet"
        alternative, _, address = shown[name].removeprefix("![").removesuffix(")").partition("](")
        assert alternative == f"data/digits/{stage}/{name}.png"
        assert client.download(address)[0] == (root / alternative).read_bytes()
    for stage in ("verdict", "report"):
        page, headers = client.download(read_metadata(client, stage)["report"])
        assert page == (root / "data/digits/report/report.html").read_bytes()
        assert "sandbox" in headers["Content-Security-Policy"]
    assert client.request("/growset/reports/digits", Host="evil.example")[0] == 403
    assert client.request("/growset/reports/other")[0] == 404


def check_reload(client: Client, root: Path) -> None:
    """A recipe that is activated appears by itself, one that is deactivated goes; a mistake changes nothing."""

    def groups() -> set[str]:
        return {node["groupName"] for node in client.ask(NODES)["assetNodes"]}

    def descriptions() -> str:
        return " ".join(node["description"] for node in client.ask(NODES)["assetNodes"])

    def told(sentence: str) -> bool:
        return sentence in (root.parent / "ui.log").read_text()

    params, recipe = root / "params.yaml", root / "recipes" / "second.yaml"
    text = (root / "recipes" / "digits.yaml").read_text()
    recipe.write_text(text)
    assert growset(root, "activate", "second").exit_code == 0
    wait_for(lambda: groups() == {"sources", "digits", "second"}, seconds=180)
    recipe.write_text(text.replace("real_weight", "weight"))
    wait_for(lambda: told("unknown key 'mix.weight'"), seconds=60)
    active = params.read_text()
    params.write_text("expansions: [")
    wait_for(lambda: told("params.yaml"), seconds=60)
    assert groups() == {"sources", "digits", "second"} and "cannot be made" not in descriptions()
    params.write_text(active)
    recipe.write_text(text.replace("ratio: 1.0", "ratio: 3.5"))
    wait_for(lambda: "3.5 are added per real image" in descriptions(), seconds=180)
    assert growset(root, "deactivate", "second").exit_code == 0
    wait_for(lambda: groups() == {"sources", "digits"}, seconds=180)


def check_daemon(client: Client) -> None:
    """It is started again if something kills it, and keeps little memory that it does not use."""

    def find_daemon() -> psutil.Process | None:
        return next((child for child in list_living(client.process) if "dagster._daemon" in child.cmdline()), None)

    first = find_daemon()
    assert first and first.environ()["MALLOC_ARENA_MAX"] == "2"
    assert TIMES.items() <= first.environ().items()
    first.kill()
    wait_for(lambda: (second := find_daemon()) and second.pid != first.pid, seconds=60)


def check_code_server(client: Client, log: Path) -> None:
    """Whichever of its two processes is killed, the UI has its assets again, perhaps within an instant."""

    def count_updates() -> int:
        return log.read_text().count("LOCATION_UPDATED")

    for kill in (find_code_server, lambda ui: find_code_server(ui).children()[0]):
        before = count_updates()
        kill(client.process).kill()
        wait_for(lambda before=before: count_updates() > before, seconds=180)
        wait_for(lambda: list_assets(client), seconds=120)


def list_assets(client: Client) -> list[Any]:
    """None while the UI cannot reach its definitions."""
    with suppress(HTTPError):  # the server that was asked has just ended
        nodes: list[Any] = client.ask(NODES)["assetNodes"]
        return nodes
    return []


def test_a_taken_port_and_an_invalid_name_are_reported(fresh_workspace: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        result = growset(fresh_workspace, "ui", "--port", str(taken.getsockname()[1]))
    assert (result.exit_code, result.output.count("\n")) == (3, 1)
    assert "cannot be used (Address already in use); choose another with --port" in result.output
    result = growset(fresh_workspace, "ui", "--allow-host", "https://ui.example.org")
    assert result.exit_code == 2 and "allowed: the name of one host" in result.output


def test_a_second_ui_of_a_workspace_is_refused_before_its_port(fresh_workspace: Path) -> None:
    """With the advice to choose another port, a second daemon would start every scheduled run again."""
    with socket.socket() as first, exclusive_ui(Workspace(fresh_workspace), "http://127.0.0.1:3000"):
        first.bind(("127.0.0.1", 0))
        first.listen()
        result = growset(fresh_workspace, "ui", "--port", str(first.getsockname()[1]))
    assert (result.exit_code, result.output.count("\n")) == (3, 1)
    assert "runs already on http://127.0.0.1:3000; open it, or stop it" in result.output
