"""An export as a whole: refused before it starts, equal bytes every time, complete or absent."""

from __future__ import annotations

import fcntl
import os
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from ops.errors import UserError
from ops.exports import exporting as running
from ops.exports import formats, published
from ops.exports.exporting import export_dataset
from ops.exports.formats import FORMATS, Format
from ops.exports.published import ONLY, Only
from tests.publications import Case, digest, publish


@pytest.mark.parametrize("only", ONLY)
@pytest.mark.parametrize("name", FORMATS)
def test_the_same_dataset_gives_the_same_bytes(odd: Case, tmp_path: Path, name: str, only: Only) -> None:
    first = export_dataset(odd.folder, tmp_path / "first", name, only=only)
    (tmp_path / "second").mkdir()
    second = export_dataset(odd.folder, tmp_path / "second", name, only=only)
    there = digest(tmp_path / "first")
    assert there == digest(tmp_path / "second")
    assert (first.files, first.bytes) == (len(there), sum(map(len, there.values()))) == (second.files, second.bytes)
    train = odd.splits["train"].rows["is_generated"]
    expected = {"train": {"all": len(train), "real": int((~train).sum()), "generated": int(train.sum())}[only]}
    if only != "generated":
        expected |= {split: len(odd.splits[split]) for split in ("validation", "test")}
    assert first.splits == second.splits == expected
    assert {"README.md", "verdict.json"} <= set(there)
    assert not list(tmp_path.glob(".*"))


def test_the_dataset_itself_is_not_touched(grey: Case, tmp_path: Path) -> None:
    before = digest(grey.folder)
    for name in FORMATS:
        export_dataset(grey.folder, tmp_path / name, name)
    assert digest(grey.folder) == before


@pytest.mark.parametrize(
    ("target", "sentence"),
    [
        ("full", "full is not empty; name a new or an empty folder"),
        ("full/file", "file is a file; name a new or an empty folder"),
        ("full/file/deep/er", "file is a file, so .*er cannot be a folder in it"),
        ("published/tiny/export", "export lies in the dataset itself"),
        ("published/tiny", "tiny lies in the dataset itself"),
    ],
)
def test_an_invalid_target_is_refused_before_any_work(
    grey: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, target: str, sentence: str
) -> None:
    def never(*_: Any) -> None:
        raise AssertionError("the dataset was opened")

    monkeypatch.setattr(running, "open_published", never)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").write_text("mine")
    with pytest.raises(UserError, match=sentence):
        export_dataset(grey.folder, tmp_path / target, "npz")
    assert digest(tmp_path / "full") == {"file": b"mine"}


def test_unknown_formats_and_parts_are_refused_with_the_known_ones(grey: Case, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no export format 'tfrecord'; there are: huggingface, folder, fiftyone, web"):
        export_dataset(grey.folder, tmp_path / "a", "tfrecord")
    with pytest.raises(UserError, match="'fake' is not a part of a dataset; there are: all, real, generated"):
        export_dataset(grey.folder, tmp_path / "a", "npz", only="fake")
    assert not (tmp_path / "a").exists()


def test_a_failed_export_leaves_nothing_and_a_killed_one_does_not_block_the_next(
    grey: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(dataset: Any, folder: Path) -> None:
        (folder / "half").write_text("half")
        raise OSError(28, "No space left on device")

    monkeypatch.setitem(formats.FORMATS, "npz", Format(fail))
    with pytest.raises(OSError, match="No space"):
        export_dataset(grey.folder, tmp_path / "out", "npz")
    monkeypatch.undo()
    assert {path.name for path in tmp_path.iterdir()} == {"published"}
    left = tmp_path / ".out.growset-unfinished" / "folder"
    left.mkdir(parents=True)
    (left / "half").write_text("half")
    export_dataset(grey.folder, tmp_path / "out", "npz")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"README.md", "dataset.npz", "verdict.json"}
    assert not left.parent.exists()


def test_a_second_export_to_the_same_target_is_refused(grey: Case, tmp_path: Path) -> None:
    holder = tmp_path / ".out.growset-unfinished"
    holder.mkdir()
    descriptor = os.open(holder, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    with pytest.raises(UserError, match="out is being written by another command; wait for it or name another"):
        export_dataset(grey.folder, tmp_path / "out", "npz")
    os.close(descriptor)
    assert holder.exists()


@pytest.mark.parametrize("name", ["npz", "zip", "webdataset", "huggingface"])
def test_memory_holds_a_part_of_the_images_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """10 MB of pixels are exported with a quarter of that in Python and numpy, and Arrow keeps no memory."""
    images = np.random.default_rng(5).integers(0, 256, (200, 128, 128, 3), dtype=np.uint8)
    case = publish(tmp_path / "large", images, np.arange(200) % 2, ("a", "b"), real=100, generated=96)
    monkeypatch.setattr(published, "_BATCH_BYTES", 2**18)
    before, total = pa.total_allocated_bytes(), images.nbytes
    tracemalloc.start()
    export_dataset(case.folder, tmp_path / "out", name)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < total / 4
    assert pa.total_allocated_bytes() - before < total / 100


def test_progress_counts_every_image_once(grey: Case, tmp_path: Path) -> None:
    for name in FORMATS:
        lines: list[str] = []
        export_dataset(grey.folder, tmp_path / name, name, sink=lines.append, report_every=0)
        assert lines[-1].startswith("export: 100/100 images"), name
