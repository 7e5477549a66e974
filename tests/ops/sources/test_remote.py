"""Remote sources: files fetched whole, only changed ones, and a clear error if the remote cannot be reached."""

from __future__ import annotations

import http.server
import os
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import fsspec
import pytest

from ops.errors import EnvironmentFault, UserError
from ops.sources.reading import hash_source, read_source
from ops.sources.remote import fetch_source, list_remote, listed_once
from ops.sources.spec import SourceSpec
from tests.sources import make_folder, make_npz, make_truth

TRUTH = make_truth()


def make_spec(kind: str, path: str, **keys: object) -> SourceSpec:
    return SourceSpec.model_validate({"name": "far", "kind": kind, "path": path, "licence": "M", **keys})


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[fsspec.AbstractFileSystem]:
    """A file system in memory, with the images of a folder at /bucket/images."""
    make_folder(tmp_path / "original", TRUTH)
    system = fsspec.filesystem("memory")
    system.put(str(tmp_path / "original"), "/bucket/images", recursive=True)
    yield system
    system.rm("/bucket", recursive=True)


def test_a_remote_folder_equals_the_local_source(tmp_path: Path, memory: fsspec.AbstractFileSystem) -> None:
    far = fetch_source(make_spec("folder", "memory://bucket/images"), tmp_path / "mirrors")
    near = make_spec("folder", str(tmp_path / "original"))
    assert far.path == str(tmp_path / "mirrors" / "far")
    assert hash_source(far) == hash_source(near)
    ids = [
        {split: part.rows["image_id"].to_list() for split, part in read_source(s).splits.items()} for s in (far, near)
    ]
    assert ids[0] == ids[1]


def test_a_command_lists_a_remote_once_and_reads_one_state_of_it(
    tmp_path: Path, memory: fsspec.AbstractFileSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[str] = []
    real = type(memory).find
    monkeypatch.setattr(type(memory), "find", lambda s, root, **o: (looks.append(root), real(s, root, **o))[1])
    spec, late = make_spec("folder", "memory://bucket/images"), "train/ant/late.png"
    with listed_once():
        mirror = Path(fetch_source(spec, tmp_path / "mirrors").path)
        memory.pipe(f"/bucket/images/{late}", b"x")
        with listed_once():
            assert fetch_source(spec, tmp_path / "mirrors").path == str(mirror)
        assert late not in list_remote(spec.path) and not (mirror / late).exists() and len(looks) == 1
        fetch_source(spec, tmp_path / "others")  # another mirror is filled from the same listing
        assert len(looks) == 1 and len(list((tmp_path / "others").rglob("*.png"))) == 36
    fetch_source(spec, tmp_path / "mirrors")
    assert late in list_remote(spec.path) and (mirror / late).read_bytes() == b"x" and len(looks) == 3


def test_a_command_stops_when_another_one_has_fetched_a_newer_state(
    tmp_path: Path, memory: fsspec.AbstractFileSystem
) -> None:
    spec, mirrors = make_spec("folder", "memory://bucket/images"), tmp_path / "mirrors"

    def fetch_elsewhere() -> None:
        """In a thread, which does not know of the block, as another process."""
        other = threading.Thread(target=fetch_source, args=(spec, mirrors))
        other.start()
        other.join()

    with listed_once():
        found = fetch_source(spec, mirrors)
        fetch_elsewhere()
        assert fetch_source(spec, mirrors) == found, "the same state may be fetched meanwhile"
        memory.rm(memory.find("/bucket/images/train/ant")[0])
        fetch_elsewhere()
        with pytest.raises(
            EnvironmentFault, match=r"fetched a newer state of memory://bucket/images meanwhile; run it"
        ):
            fetch_source(spec, mirrors)
    with listed_once():
        assert fetch_source(spec, mirrors) == found


def test_only_changed_files_are_fetched_and_deleted_ones_removed(
    tmp_path: Path, memory: fsspec.AbstractFileSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetched: list[str] = []
    real = type(memory).get_file
    monkeypatch.setattr(
        type(memory), "get_file", lambda s, place, to, **o: (fetched.append(place), real(s, place, to))[1]
    )
    spec = make_spec("folder", "memory://bucket/images")
    mirror = Path(fetch_source(spec, tmp_path / "mirrors").path)
    assert len(fetched) == 36
    fetch_source(spec, tmp_path / "mirrors")
    assert len(fetched) == 36
    first, second = memory.find("/bucket/images/train/ant")[:2]
    memory.pipe(first, memory.cat(second) + b"\0")
    memory.rm(second)
    (mirror / "train" / "bee").rename(mirror / "train" / "lost")
    fetch_source(spec, tmp_path / "mirrors")
    assert len(fetched) == 36 + 1 + 4, "changed remote files, and lost local ones"
    assert sum(path.suffix == ".png" for path in mirror.rglob("*")) == 35
    assert not (mirror / Path(second).relative_to("/bucket/images")).exists()


@pytest.fixture
def web(tmp_path: Path) -> Iterator[str]:
    """A web server on this machine with one .npz."""
    make_npz(tmp_path / "web", TRUTH)

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *arguments: object) -> None: ...

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path / "web")))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_one_file_from_the_web_is_fetched(tmp_path: Path, web: str) -> None:
    spec = fetch_source(make_spec("npz", f"{web}/pathmnist.npz", class_names=["a", "b", "c"]), tmp_path / "mirrors")
    assert spec.path == str(tmp_path / "mirrors" / "far" / "pathmnist.npz")
    assert len(read_source(spec).splits["train"]) == 12


def test_the_query_of_an_address_is_sent_and_not_stored(tmp_path: Path, web: str) -> None:
    spec = make_spec("npz", f"{web}/pathmnist.npz?token=abc", class_names=["a", "b", "c"])
    for _ in range(2):
        found = fetch_source(spec, tmp_path / "mirrors")
        assert found.path == str(tmp_path / "mirrors" / "far" / "pathmnist.npz")
    assert {path.name for path in (tmp_path / "mirrors").rglob("*.*")} == {"pathmnist.npz", ".index.json"}
    assert "abc" not in (tmp_path / "mirrors" / "far" / ".index.json").read_text()


def test_unreachable_and_unknown_uris_are_named(tmp_path: Path, web: str) -> None:
    with pytest.raises(UserError, match="^nothing://x cannot be opened: Protocol not known: nothing"):
        fetch_source(make_spec("npz", "nothing://x"), tmp_path)
    with pytest.raises(UserError, match="^memory://empty/place names no file; expected a folder or a file of images"):
        fetch_source(make_spec("npz", "memory://empty/place"), tmp_path)
    with pytest.raises(UserError, match="names no file"):
        fetch_source(make_spec("npz", f"{web}/absent.npz"), tmp_path)
    with pytest.raises(EnvironmentFault, match="^http://127.0.0.1:1/x.npz cannot be reached"):
        fetch_source(make_spec("npz", "http://127.0.0.1:1/x.npz"), tmp_path)


def test_a_broken_fetch_resumes_where_it_stopped(
    tmp_path: Path, memory: fsspec.AbstractFileSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, calls = type(memory).get_file, 0

    def break_off(system: object, place: str, to: str, **options: object) -> None:
        nonlocal calls
        calls += 1
        if calls == 10:
            Path(to).write_bytes(b"half")
            raise ConnectionError("the line went dead")
        real(system, place, to)

    monkeypatch.setattr(type(memory), "get_file", break_off)
    spec = make_spec("folder", "memory://bucket/images")
    with pytest.raises(EnvironmentFault, match=r"cannot be fetched \(the line went dead\); run it again"):
        fetch_source(spec, tmp_path / "mirrors")
    assert not [path for path in (tmp_path / "mirrors").rglob("*") if path.is_file() and path.read_bytes() == b"half"]
    far = fetch_source(spec, tmp_path / "mirrors")
    assert calls == 37
    assert hash_source(far) == hash_source(make_spec("folder", str(tmp_path / "original")))


def test_the_hub_is_reached_through_fsspec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environ, "HF_HUB_OFFLINE", "1")
    with pytest.raises(EnvironmentFault, match="^hf://datasets/nobody/nothing cannot be reached"):
        fetch_source(make_spec("parquet", "hf://datasets/nobody/nothing"), tmp_path)
