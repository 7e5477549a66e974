"""Looks at a source: what changes its signature, what is counted, and that no image is opened and nothing fetched."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import fsspec
import pytest
from PIL import Image

from ops.chain import watch_source
from ops.chain.watch_source import (
    Listing,
    Measured,
    Watched,
    list_source,
    measure_source,
    read_watched,
    write_watched,
)
from ops.errors import ADVICE
from ops.sources import remote
from ops.sources.spec import SourceSpec
from ops.workspaces.workspace import Workspace
from tests.sources import Truth, make_folder, make_metadata, make_npz, make_truth, make_webdataset, make_zip

TRUTH = make_truth()
IMAGES = 36


@pytest.fixture(autouse=True)
def _closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """No pixel is read and nothing is downloaded."""

    def refuse(*arguments: object, **options: object) -> None:
        raise AssertionError("a look opened an image or fetched a file")

    for owner, name in ((Image, "open"), (remote, "_download")):
        monkeypatch.setattr(owner, name, refuse)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    for folder in ("recipes", "sources"):
        (tmp_path / folder).mkdir()
    return Workspace(tmp_path)


def describe(workspace: Workspace, kind: str, path: object, **keys: object) -> None:
    lines = {"kind": kind, "path": str(path), "licence": "M", **keys}
    text = "".join(f"{key}: {json.dumps(value)}\n" for key, value in lines.items())
    workspace.source_path("mine").write_text(text, encoding="utf-8")


@pytest.mark.parametrize("make", [make_folder, make_metadata, make_webdataset, make_zip, make_npz])
def test_a_folder_a_table_and_archives_are_listed_and_counted(
    workspace: Workspace, make: Callable[[Path, Truth], dict[str, Any]]
) -> None:
    describe(workspace, **make(workspace.root / "images", TRUTH))
    listing = list_source(workspace, "mine")
    assert listing.fault is None and listing.total and listing == list_source(workspace, "mine")
    measured = measure_source(workspace, "mine", listing)
    assert measured.images == IMAGES and measured.bytes == listing.total
    assert measured.content is not None and len(measured.content) == 64


def test_any_write_changes_the_signature_and_a_touch_does_not_change_the_content(workspace: Workspace) -> None:
    make_folder(workspace.root / "images", TRUTH)
    describe(workspace, "folder", "../images")
    first = list_source(workspace, "mine")
    before = measure_source(workspace, "mine", first)
    path = sorted((workspace.root / "images" / "train").rglob("*.png"))[0]
    os.utime(path, ns=(1, 1))
    touched = list_source(workspace, "mine")
    assert touched.signature != first.signature
    assert measure_source(workspace, "mine", touched) == before
    path.with_name("copy.png").write_bytes(path.read_bytes())
    added = list_source(workspace, "mine")
    measured = measure_source(workspace, "mine", added)
    assert measured.images == IMAGES + 1 and measured.content != before.content


def test_the_description_counts_as_far_as_it_changes_images(workspace: Workspace) -> None:
    make_folder(workspace.root / "images", TRUTH)
    describe(workspace, "folder", "../images")
    first = list_source(workspace, "mine").signature
    describe(workspace, "folder", "../images", licence="another")
    assert list_source(workspace, "mine").signature == first
    describe(workspace, "folder", "../images", size="8")
    assert list_source(workspace, "mine").signature != first


def test_a_large_source_is_counted_but_left_to_the_run_to_hash(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_folder(workspace.root / "images", TRUTH)
    describe(workspace, "folder", "../images")
    listing = list_source(workspace, "mine")
    monkeypatch.setattr(watch_source, "HASHED", (listing.total or 0) - 1)
    found = measure_source(workspace, "mine", listing)
    assert (found.images, found.content) == (IMAGES, None)


@pytest.fixture
def bucket(workspace: Workspace) -> Iterator[fsspec.AbstractFileSystem]:
    make_folder(workspace.root / "original", TRUTH)
    system = fsspec.filesystem("memory")
    system.put(str(workspace.root / "original"), "/watched/images", recursive=True)
    describe(workspace, "folder", "memory://watched/images")
    yield system
    system.rm("/watched", recursive=True)


def test_a_bucket_is_listed_and_counted_by_its_names(workspace: Workspace, bucket: fsspec.AbstractFileSystem) -> None:
    first = list_source(workspace, "mine")
    assert first == list_source(workspace, "mine")
    measured = measure_source(workspace, "mine", first)
    assert (measured.images, measured.content) == (IMAGES, None) and measured.bytes == first.total
    bucket.pipe("/watched/images/train/ant/more.png", b"x")
    bucket.pipe("/watched/images/train/ant/notes.txt", b"x")
    second = list_source(workspace, "mine")
    assert second.signature != first.signature
    assert measure_source(workspace, "mine", second).images == IMAGES + 1


def test_the_images_in_archives_of_a_bucket_are_not_counted(
    workspace: Workspace, bucket: fsspec.AbstractFileSystem
) -> None:
    describe(workspace, "webdataset", "memory://watched/images")
    found = measure_source(workspace, "mine", list_source(workspace, "mine"))
    assert found.images is None and found.bytes


def test_a_driver_that_remembers_its_listing_is_asked_anew(
    workspace: Workspace, bucket: fsspec.AbstractFileSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The code server lives for weeks."""
    forgotten = []
    monkeypatch.setattr(type(bucket), "invalidate_cache", lambda self, path=None: forgotten.append(path))
    list_source(workspace, "mine")
    assert forgotten == [None]


@pytest.mark.parametrize(
    ("kind", "path", "fault"),
    [
        ("folder", "../absent", "does not exist"),
        ("folder", "memory://watched/nothing", "names no file"),
        ("npz", "http://127.0.0.1:1/x.npz", "cannot be reached"),
        ("nonsense", "../images", "'kind' in"),
    ],
)
def test_a_source_that_cannot_be_listed_says_so_and_raises_nothing(
    workspace: Workspace, kind: str, path: str, fault: str
) -> None:
    describe(workspace, kind, path)
    listing = list_source(workspace, "mine")
    assert listing.fault is not None and fault in listing.fault
    assert listing.signature.startswith("unlisted: ")
    assert measure_source(workspace, "mine", listing).images is None


def test_files_that_cannot_be_read_are_left_to_the_run(workspace: Workspace) -> None:
    (workspace.root / "images").mkdir()
    (workspace.root / "images" / "train-00000-of-00001.parquet").write_bytes(b"no Parquet")
    describe(workspace, "parquet", "../images")
    listing = list_source(workspace, "mine")
    assert measure_source(workspace, "mine", listing) == Measured(None, None, None)


def test_the_note_of_a_run(workspace: Workspace) -> None:
    assert read_watched(workspace, "digits") is None
    make_folder(workspace.root / "images", TRUTH)
    describe(workspace, "folder", "../images")
    listing = list_source(workspace, "mine")
    write_watched(workspace, "digits", "mine", listing, "hash")
    found = read_watched(workspace, "digits")
    assert found is not None and found.signature == listing.signature
    assert (found.measured.images, found.measured.content, found.measured.bytes) == (IMAGES, "hash", listing.total)
    (workspace.root / ".growset" / "watched" / "digits.json").write_text("{")
    assert read_watched(workspace, "digits") is None
    write_watched(workspace, "digits", "mine", Listing("gone", fault="it was unmounted"), "hash")
    assert (found := read_watched(workspace, "digits")) and found.measured.images == IMAGES


def test_a_file_that_vanishes_while_the_source_is_listed_is_a_fault_of_the_listing(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_folder(workspace.root / "images", TRUTH)
    describe(workspace, "folder", "../images")
    path = sorted((workspace.root / "images" / "train").rglob("*.png"))[0]
    layout = watch_source.LAYOUTS["folder"]

    def list_and_lose(spec: SourceSpec) -> list[Path]:
        found = list(layout.list_files(spec))
        path.unlink()
        return found

    with monkeypatch.context() as patch:
        patch.setitem(watch_source.LAYOUTS, "folder", replace(layout, list_files=list_and_lose))
        listing = list_source(workspace, "mine")
    assert listing.signature == "unlisted: FileNotFoundError"
    assert listing.fault == f"[Errno 2] No such file or directory: {str(path)!r}; {ADVICE}"
    again = list_source(workspace, "mine")
    assert again.fault is None and measure_source(workspace, "mine", again).images == IMAGES - 1


@pytest.mark.parametrize("code", [errno.EACCES, errno.ESTALE, errno.EIO])
def test_a_disk_that_fails_is_a_fault_of_the_listing_and_measures_nothing(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    make_folder(workspace.root / "images", TRUTH)
    describe(workspace, "folder", "../images")
    listing = list_source(workspace, "mine")

    def fail(*arguments: object, **options: object) -> None:
        raise OSError(code, os.strerror(code), "/mnt/images")

    with monkeypatch.context() as patch:
        patch.setattr(watch_source, "hash_source", fail)
        assert measure_source(workspace, "mine", listing) == Measured(None, None, None)
    with monkeypatch.context() as patch:
        patch.setattr(watch_source, "_count_images", fail)
        write_watched(workspace, "mine", "mine", listing, "c")
    assert read_watched(workspace, "mine") == Watched(listing.signature, Measured(None, "c", listing.total))
    with monkeypatch.context() as patch:
        patch.setattr(os, "stat", fail)
        fault = list_source(workspace, "mine").fault
    assert fault is not None and os.strerror(code) in fault and fault.endswith(ADVICE)
