"""Pictures and reports by address: what metadata links to is there, and nothing else of the disk is."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from assets.looks import LOOKS, describe
from assets.outcome import describe_outcome
from ops.files.manifests import MANIFEST, describe_output, join_hashes, seal
from ops.files.storage import write_json
from ops.stages.materialization import Outcome
from ops.workspaces.workspace import Workspace
from pipelines.origin_guard import OriginGuard
from pipelines.pages import add_pages, find_report, read_picture

PNG = b"\x89PNG picture of "
SECRET = b"\x89PNG secret"


def write_output(workspace: Workspace, expansion: str, stage: str, *names: str) -> dict[str, Any]:
    """An output with these files and its manifest."""
    folder = workspace.output(expansion, stage)
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(PNG + name.encode())
    identity = {"stage": stage, "fingerprint": "f" * 64, "inputs": {}, "version": 1, "settings": {}}
    manifest = describe_output(folder, identity, {})
    write_json(folder / MANIFEST, manifest)
    return manifest


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """Two expansions with pictures, of which one is active, and a file that is nobody's business."""
    (tmp_path / "params.yaml").write_text("expansions: [digits]\n")
    (tmp_path / "secret.png").write_bytes(SECRET)
    workspace = Workspace(tmp_path)
    for expansion in ("digits", "idle"):
        write_output(workspace, expansion, "real_images", "contact_sheet.png", "index.parquet", "other.png")
        write_output(workspace, expansion, "scorer", "contact_sheet.png")
        write_output(workspace, expansion, "generator", "samples-100.png", "generators/1/samples-100.png")
        write_output(workspace, expansion, "report", "report.html")
    return workspace


@pytest.fixture
def client(workspace: Workspace) -> Iterator[TestClient]:
    """As `growset ui` builds it, with Dagster's last route, which answers every address with the same page."""
    ui = Starlette(routes=[Route("/{path:path}", lambda request: PlainTextResponse("the UI"))])
    add_pages(ui, workspace)
    with TestClient(OriginGuard(ui), base_url="http://127.0.0.1:3000", raise_server_exceptions=True) as client:
        yield client


def show(workspace: Workspace, stage: str, manifest: dict[str, Any]) -> dict[str, str]:
    """The addresses of the pictures in Dagster's metadata, by key, in its order."""
    outcome = Outcome(manifest, workspace.output("digits", stage), 0.0, reused=True)
    found = {}
    for key, value in describe_outcome(outcome, "digits", describe(stage, None)).items():
        if text := re.fullmatch(r"!\[(.+)\]\((/growset/pictures/.+)\)", str(getattr(value, "value", ""))):
            assert (workspace.root / text[1]).is_file() and len(text[0]) < 1000, "Dagster hides longer Markdown"
            found[key] = text[2]
    return found


def test_the_pictures_in_an_assets_metadata_are_there(client: TestClient, workspace: Workspace) -> None:
    manifest = write_output(workspace, "digits", "generator", "losses.json")
    shown = show(workspace, "generator", manifest)
    assert list(shown) == ["samples-100", "samples-100_generator_1"]
    for key, name in (("samples-100", "samples-100.png"), ("samples-100_generator_1", "generators/1/samples-100.png")):
        answer = client.get(shown[key])
        assert (answer.status_code, answer.content) == (200, PNG + name.encode())
        assert answer.headers["content-type"] == "image/png"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"
        assert client.head(shown[key]).status_code == 200


def test_a_picture_that_was_made_anew_has_another_address(client: TestClient, workspace: Workspace) -> None:
    """Else an old event would show a new picture."""
    (workspace.output("digits", "real_images") / "other.png").unlink()
    (old,) = show(workspace, "real_images", write_output(workspace, "digits", "real_images")).values()
    assert client.get(old).status_code == 200
    (new,) = show(workspace, "real_images", write_output(workspace, "digits", "real_images", "more.json")).values()
    assert (client.get(old).status_code, client.get(new).status_code) == (404, 200)


def test_a_damaged_picture_is_not_shown(client: TestClient, workspace: Workspace) -> None:
    (address,) = show(workspace, "real_images", write_output(workspace, "digits", "real_images")).values()
    (workspace.output("digits", "real_images") / "contact_sheet.png").write_bytes(PNG + b"something else")
    assert client.get(address).status_code == 404


CONTENT = "CONTENT"  # stands for the content hash of real_images
UP = ("../", "..%2f", "%2e%2e/", "%2e%2e%2f", "..%5c", "....//", "%252e%252e%252f", "/", "//", "%00")


ELSEWHERE = (
    f"pictures/digits/real_images/{'0' * 32}/contact_sheet.png",
    f"pictures/digits/real_images/{CONTENT[:4]}/contact_sheet.png",
    f"pictures/idle/real_images/{CONTENT}/contact_sheet.png",
    f"pictures/unknown/real_images/{CONTENT}/contact_sheet.png",
    f"pictures/digits/unknown/{CONTENT}/contact_sheet.png",
    f"pictures/digits/published_dataset/{CONTENT}/contact_sheet.png",
    f"pictures/digits/scorer/{CONTENT}/contact_sheet.png",
    f"pictures/digits/real_images/{CONTENT}/other.png",
    f"pictures/digits/real_images/{CONTENT}/index.parquet",
    f"pictures/digits/real_images/{CONTENT}/manifest.json",
    f"pictures/digits/real_images/{CONTENT}/",
    f"pictures/digits/real_images/{CONTENT}/contact_sheet.png%00",
    f"pictures/digits/real_images/{CONTENT}/generators/1/contact_sheet.png",
    *(f"pictures/digits/real_images/{CONTENT}/{up * 3}secret.png" for up in UP),
    *(f"pictures/{up}digits/real_images/{CONTENT}/contact_sheet.png" for up in UP),
    f"pictures/digits/..%2fidle%2freal_images/{CONTENT}/contact_sheet.png",
    "reports/idle", "reports/unknown", "reports/", "reports/..%2fidle", "reports/digits/report.html",
    "reports/digits%2f..%2fdigits", "", "unknown", "pictures",
)  # fmt: skip


def test_nothing_else_is_there(client: TestClient, workspace: Workspace) -> None:
    outputs = (("digits", "real_images"), ("digits", "scorer"), ("idle", "real_images"))
    contents = {output: write_output(workspace, *output)["content"][:32] for output in outputs}
    for address in ELSEWHERE:
        content = next((known for (name, stage), known in contents.items() if f"{name}/{stage}" in address), "0" * 32)
        answer = client.get("/growset/" + address.replace(CONTENT, content))
        assert answer.status_code == 404, address
        assert SECRET not in answer.content and PNG not in answer.content
    there = contents["digits", "real_images"]
    assert client.get(f"/growset/pictures/digits/real_images/{there}/contact_sheet.png").status_code == 200


def test_dots_and_slashes_are_no_way_out_where_no_client_has_resolved_them(workspace: Workspace) -> None:
    content = write_output(workspace, "digits", "real_images")["content"][:32]
    assert read_picture(workspace, "digits", "real_images", content, "contact_sheet.png")
    for name in ("../../../secret.png", "./contact_sheet.png", f"{workspace.root}/secret.png", "generators/../x", ""):
        assert read_picture(workspace, "digits", "real_images", content, name) is None
    for expansion in ("../data/digits", "digits/../idle", ".", ""):
        assert read_picture(workspace, expansion, "real_images", content, "contact_sheet.png") is None
        assert find_report(workspace, expansion) is None
    for stage in ("../digits/real_images", "../../digits/real_images", ""):
        assert read_picture(workspace, "digits", stage, content, "contact_sheet.png") is None


def test_the_pages_of_the_ui_are_as_before(client: TestClient) -> None:
    for address in ("/", "/assets/digits/real_images", "/growsets", "/graphql"):
        assert client.get(address).text == "the UI"


@pytest.mark.parametrize("name", ["samples-/../../../../secret.png", "../../../secret.png", "generators/1/../../x.png"])
def test_a_forged_manifest_leads_nowhere(client: TestClient, workspace: Workspace, name: str) -> None:
    """Data of others is pulled with its manifest, which may list any name."""
    folder = workspace.output("digits", "generator")
    manifest = write_output(workspace, "digits", "generator")
    secret = next(iter(write_output(workspace, "digits", "scorer")["files"].values()))
    files = {**manifest["files"], name: secret}
    forged = seal({**manifest, "files": files, "content": join_hashes(files)})
    write_json(folder / MANIFEST, forged)
    assert name not in "".join(show(workspace, "generator", forged).values())
    content = forged["content"][:32]
    for text in (name, quote(name, safe="")):
        assert client.get(f"/growset/pictures/digits/generator/{content}/{text}").status_code == 404
    assert client.get(f"/growset/pictures/digits/generator/{content}/samples-100.png").status_code == 200


def test_the_report_comes_in_pieces_and_may_do_nothing(client: TestClient, workspace: Workspace) -> None:
    page = b"<!doctype html>" + bytes(range(32, 127)) * 4000
    (workspace.output("digits", "report") / "report.html").write_bytes(page)
    links = [
        describe_outcome(Outcome(write_output(workspace, "digits", stage), Path(), 0.0, reused=True), "digits", look)
        for stage, look in LOOKS.items()
        if look.report and stage != "verdict"  # whose tables need a verdict
    ]
    assert [link["report"].value for link in links] == ["/growset/reports/digits"]
    answer = client.get("/growset/reports/digits")
    assert answer.status_code == 200 and answer.content == page
    assert answer.headers["content-type"].startswith("text/html")
    policy = answer.headers["content-security-policy"].split("; ")
    assert "sandbox" in policy and "default-src 'none'" in policy
    assert client.get("/growset/reports/digits", headers={"Range": "bytes=1-8"}).content == page[1:9]


def test_only_the_uis_own_pages_and_programs_here_may_ask(client: TestClient, workspace: Workspace) -> None:
    for headers in ({"Host": "evil.example"}, {"Origin": "http://evil.example"}, {"Origin": "null"}):
        assert client.get("/growset/reports/digits", headers=headers).status_code == 403
    assert client.post("/growset/reports/digits").status_code == 405


def test_a_params_file_that_is_being_edited_is_no_fault(client: TestClient, workspace: Workspace) -> None:
    (address,) = show(workspace, "real_images", write_output(workspace, "digits", "real_images")).values()
    (workspace.root / "params.yaml").write_text("expansions: [")
    assert client.get("/growset/reports/digits").status_code == 404
    assert client.get(address).status_code == 404
