"""Secrets are planted where users have them, and everything that runs write is searched for them.

Planted are keys, tokens and passwords in the environment, passwords in the addresses of the source, of the DVC remote
and of git's `origin`, a token in a query, and a password among the remote's settings. In the end the server refuses
all requests, because libraries quote addresses in their errors.
"""

from __future__ import annotations

import http.server
import json
import logging
import sqlite3
import threading
import zlib
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ops.chain.driver import FIRST, Chain
from ops.chain.real_images import survey_source
from ops.errors import EnvironmentFault
from ops.files.manifests import PUBLISHED
from ops.remotes import transfer
from ops.remotes.transfer import default_remote
from ops.stages.materialization import Runtime
from ops.workspaces.workspace import Workspace
from pipelines.definitions import build_definitions
from pipelines.runs import materialize_assets
from tests.ui import serve, wait_for
from tests.workspaces import growset, run

ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "AKIAPLANTED00000001",
    "AWS_SECRET_ACCESS_KEY": "planted/02+secret/access/key",
    "AWS_SESSION_TOKEN": "planted-03-session-token",
    "GROWSET_EMAIL_PASSWORD": "planted-04-email-password",
    "GROWSET_WEBHOOK": "https://hooks.example.org/services/planted-05-webhook",
    "HF_TOKEN": "planted-06-hub-token",
}
# No secrets: what the password and the web address are used with.
OPEN = {
    "GROWSET_EMAIL_FROM": "a@example.org",
    "GROWSET_EMAIL_TO": "b@example.org",
    "GROWSET_EMAIL_HOST": "mail.example.org",
}
SOURCE, REMOTE, STORED, QUERY, GIT = (
    f"planted-{number:02}-{what}"
    for number, what in enumerate(("source", "remote", "stored", "query", "origin"), start=7)
)
PLANTED = (*ENVIRONMENT.values(), "planted-05-webhook", SOURCE, REMOTE, STORED, QUERY, GIT)
# Where the test itself writes them, as users do.
OWN = ("sources/digits.yaml", "sources/single.yaml", ".dvc/config.local", ".git/config")


def find_secrets(root: Path) -> list[str]:
    """The planted secrets in the files below `root`, with the file and, in a database, the table."""
    found = []
    for path in sorted(path for path in root.rglob("*") if path.is_file() and not path.is_symlink()):
        name = path.relative_to(root).as_posix()
        contents = [("", path.read_bytes()), ("name", name.encode())]
        if contents[0][1].startswith(b"SQLite format 3\0"):
            contents += read_database(path)
        if ".git/objects/" in name:
            contents.append(("object", unpack(contents[0][1])))
        found += [
            f"{name} {where}: {secret}"
            for where, content in contents
            for secret in PLANTED
            if name not in OWN and secret.encode() in content
        ]
    return found


def read_database(path: Path) -> Iterator[tuple[str, bytes]]:
    """Every text and blob of an SQLite database with its table; Dagster compresses some of them."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
        for (table,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            for row in database.execute(f'SELECT * FROM "{table}"'):
                for value in row:
                    if isinstance(value, str | bytes):
                        yield table, unpack(value.encode() if isinstance(value, str) else value)


def unpack(content: bytes) -> bytes:
    try:
        return zlib.decompress(content)
    except zlib.error:
        return content


def test_the_search_finds_what_is_planted(tmp_path: Path) -> None:
    (tmp_path / ".git" / "objects").mkdir(parents=True)
    (tmp_path / ".git" / "objects" / "ab").write_bytes(zlib.compress(b"x" + GIT.encode()))
    (tmp_path / f"{QUERY}.txt").touch()
    with closing(sqlite3.connect(tmp_path / "runs.db")) as database:
        database.execute("CREATE TABLE snapshots (body BLOB)")
        database.execute("INSERT INTO snapshots VALUES (?)", (zlib.compress(REMOTE.encode()),))
        database.commit()
    assert find_secrets(tmp_path) == [
        f".git/objects/ab object: {GIT}", f"{QUERY}.txt name: {QUERY}", f"runs.db snapshots: {REMOTE}",
    ]  # fmt: skip


class Web:
    """The files of a folder on a web server of this machine, which stores uploads and refuses all below `refused`."""

    def __init__(self, folder: Path) -> None:
        self.refused = "/nothing"
        web = self

        class Handler(http.server.SimpleHTTPRequestHandler):
            def __init__(self, *arguments: Any) -> None:
                super().__init__(*arguments, directory=str(folder))

            def log_message(self, *arguments: object) -> None: ...

            def parse_request(self) -> bool:
                if not super().parse_request():
                    return False
                if self.path.startswith(web.refused):
                    self.send_error(403)
                    return False
                return True

            def do_POST(self) -> None:
                path = Path(self.translate_path(self.path))
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(read_body(self))
                self.send_response(201)
                self.send_header("Content-Length", "0")
                self.end_headers()

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.place = f"127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def read_body(request: http.server.BaseHTTPRequestHandler) -> bytes:
    """The body of a request, whole or in chunks."""
    if length := request.headers.get("Content-Length"):
        return request.rfile.read(int(length))
    content = b""
    while size := int(request.rfile.readline(), 16):
        content += request.rfile.read(size)
        request.rfile.readline()
    request.rfile.readline()
    return content


@pytest.fixture
def planted(finished_workspace: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Path, Web]]:
    """A finished workspace with secrets in its settings and in the environment; its images and its remote are on the
    web server."""
    root = finished_workspace
    folder = root.parent / "web"
    folder.mkdir()
    (root / "images").rename(folder / "images")
    names = [f"{split}_{what}" for split in ("train", "validation", "test") for what in ("images", "labels")]
    np.savez(folder / "single.npz", **dict.fromkeys(names, np.zeros(1, np.uint8)))
    web = Web(folder)
    for name, value in (ENVIRONMENT | OPEN).items():
        monkeypatch.setenv(name, value)
    for name, keys in (
        ("digits", f"kind: parquet\npath: http://reader:{SOURCE}@{web.place}/images\n"),
        ("single", f"kind: npz\npath: http://{web.place}/single.npz?token={QUERY}\n"),
    ):
        (root / "sources" / f"{name}.yaml").write_text(f"{keys}licence: BSD-3-Clause\n")
    (root / ".dvc" / "config.local").write_text(
        "[core]\n    remote = storage\n"
        f"['remote \"storage\"']\n    url = http://writer:{REMOTE}@{web.place}/store\n    password = {STORED}\n"
    )
    run(root, "git", "remote", "add", "origin", f"https://oauth2:{GIT}@github.com/lab/digits.git")
    yield root, web
    web.stop()


def test_nothing_that_a_run_writes_has_a_secret(
    planted: tuple[Path, Web],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    root, web = planted
    workspace = Workspace(root)
    caplog.set_level(logging.INFO)
    assert default_remote(root) == ("storage", f"http://***@{web.place}/store")  # stored beside what was pushed
    assert survey_source(workspace, "single").place.endswith("single.npz")

    def quote_all(*arguments: object, **options: object) -> None:
        """A driver that tells all it knows."""
        key = ENVIRONMENT["AWS_SECRET_ACCESS_KEY"]
        raise ConnectionError(f"http://writer:{REMOTE}@{web.place}/store?token={QUERY} refused the key {key}")

    monkeypatch.setattr(transfer, "_survey", quote_all)
    with pytest.raises(
        EnvironmentFault, match=r"failed: http://\*\*\*@.*/store\?\*\*\* refused the key \*\*\*;"
    ) as refused:
        materialize_assets(Chain(workspace, Runtime()), "digits", [FIRST, PUBLISHED])
    web.refused = "/"
    lost = growset(root, "materialize", FIRST, "digits")
    assert lost.exit_code == 3 and f"growset: http://***@{web.place}/images cannot be reached" in lost.output
    described = [repr(spec.metadata) for spec in build_definitions(workspace).resolve_all_asset_specs()]
    assert any("github.com/lab/digits" in each for each in described)
    shown = json.dumps([str(refused.value), lost.output, *described, caplog.text, *capfd.readouterr()])
    assert [secret for secret in PLANTED if secret in shown] == []
    assert find_secrets(root) == []


@pytest.mark.slow
def test_nothing_that_runs_of_the_ui_write_has_a_secret(planted: tuple[Path, Web]) -> None:
    """Steps in processes of their own, whose output Dagster keeps: a run that publishes, then one that is refused."""
    root, web = planted
    with serve(root) as client:
        assert client.wait_for_end(client.launch("digits"), seconds=900) == "SUCCESS"
        assert list((root.parent / "web" / "store").rglob("*")), "it was pushed"
        web.refused = "/store"
        run_id = client.launch("digits")
        logs = root / ".growset" / "dagster" / "storage" / run_id / "compute_logs"
        wait_for(lambda: any(b"403" in path.read_bytes() for path in logs.glob("*.err")), seconds=900)
    printed = (root.parent / "ui.log").read_text()
    assert [secret for secret in PLANTED if secret in printed] == []
    assert find_secrets(root) == []
