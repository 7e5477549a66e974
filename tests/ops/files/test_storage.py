"""Files and folders appear whole or not at all: the disk after a break at each step, compared with old and new.

A break is an exception from the rename or removal at which a killed process would have stopped.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest

import ops.files.storage
from ops.errors import DamagedData
from ops.files.storage import (
    link_file,
    parse_json,
    read_json,
    recover_folder,
    replace_file,
    replace_folder,
    write_json,
    write_text,
)


class Killed(BaseException):
    """Stands for the end of the process."""


def fill(folder: Path, text: str) -> Path:
    (folder / "inner").mkdir(parents=True)
    (folder / "a.txt").write_text(text)
    (folder / "inner" / "b.txt").write_text(text)
    return folder


def tree(folder: Path) -> dict[str, str]:
    """Text by relative path of every file, hidden ones included."""
    return {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*") if path.is_file()}


def filled(text: str) -> dict[str, str]:
    return {"a.txt": text, "inner/b.txt": text}


def kill_at_rename(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """The `number`-th rename (from 1) does not happen any more."""
    calls, rename = [], os.rename

    def count(source: Path, target: Path) -> None:
        calls.append(source)
        if len(calls) == number:
            raise Killed
        rename(source, target)

    monkeypatch.setattr(ops.files.storage.os, "rename", count)


def kill_at_removal(monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*arguments: Any, **options: Any) -> None:
        raise Killed

    monkeypatch.setattr(ops.files.storage.shutil, "rmtree", stop)


def test_replaced_file_has_the_new_content_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "a.txt"
    for text in ("one", "two"):
        with replace_file(path) as temporary:
            assert temporary.parent == path.parent
            temporary.write_text(text)
        assert tree(path.parent) == {"a.txt": text}


@pytest.mark.parametrize("error", [ValueError, OSError, KeyboardInterrupt, Killed])
def test_exception_in_the_block_keeps_the_old_content_and_no_temporary_file(
    tmp_path: Path, error: type[BaseException]
) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(error), replace_file(path) as temporary:
        temporary.write_text("half")
        raise error
    assert tree(tmp_path) == {"a.txt": "old"}


def test_exception_before_anything_was_written_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(ValueError), replace_file(tmp_path / "a.txt"):
        raise ValueError
    assert tree(tmp_path) == {}


def test_old_content_is_there_until_the_block_ends(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    with replace_file(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"


def test_foreign_files_are_not_touched(tmp_path: Path) -> None:
    foreign = {".a.txt.0.tmp": "of another process", ".a.txt.tmp": "x", "a.txt.bak": "y", "b.txt": "z"}
    for name, text in foreign.items():
        (tmp_path / name).write_text(text)
    write_text(tmp_path / "a.txt", "new")
    with pytest.raises(ValueError), replace_file(tmp_path / "a.txt") as temporary:
        temporary.write_text("half")
        raise ValueError
    assert tree(tmp_path) == {**foreign, "a.txt": "new"}


def test_json_comes_back_and_equal_values_give_equal_bytes(tmp_path: Path) -> None:
    value = {"β": [1, 2.5, None, True], "a": {"name": "Ankle boot"}}
    write_json(tmp_path / "1.json", value)
    write_json(tmp_path / "2.json", value)
    assert read_json(tmp_path / "1.json") == value
    assert (tmp_path / "1.json").read_bytes() == (tmp_path / "2.json").read_bytes()
    assert "β" in (tmp_path / "1.json").read_text(encoding="utf-8")


def test_value_that_json_cannot_hold_keeps_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_json(path, 1)
    with pytest.raises(TypeError):
        write_json(path, {"a": object()})
    assert read_json(path) == 1


def test_a_new_folder_appears(tmp_path: Path) -> None:
    target = tmp_path / "data" / "target"
    replace_folder(fill(tmp_path / "staged", "new"), target)
    assert tree(tmp_path) == {f"data/target/{name}": text for name, text in filled("new").items()}


def test_folder_is_swapped_whole(tmp_path: Path) -> None:
    target = fill(tmp_path / "target", "old")
    (target / "only in the old one").write_text("x")
    replace_folder(fill(tmp_path / "staged", "new"), target)
    assert tree(target) == filled("new")
    assert [path.name for path in tmp_path.iterdir()] == ["target"]


def test_break_before_the_first_rename_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target, staged = fill(tmp_path / "target", "old"), fill(tmp_path / "staged", "new")
    with monkeypatch.context() as patch, pytest.raises(Killed):
        kill_at_rename(patch, 1)
        replace_folder(staged, target)
    recover_folder(target)
    assert tree(target) == filled("old")
    assert tree(staged) == filled("new")


def test_break_between_the_renames_gets_the_old_version_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target, staged = fill(tmp_path / "target", "old"), fill(tmp_path / "staged", "new")
    with monkeypatch.context() as patch, pytest.raises(Killed):
        kill_at_rename(patch, 2)
        replace_folder(staged, target)
    assert not target.exists()
    recover_folder(target)
    assert tree(target) == filled("old")
    assert tree(staged) == filled("new")
    assert {path.name for path in tmp_path.iterdir()} == {"target", "staged"}


def test_break_after_the_renames_keeps_the_new_version_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target, staged = fill(tmp_path / "target", "old"), fill(tmp_path / "staged", "new")
    with monkeypatch.context() as patch, pytest.raises(Killed):
        kill_at_removal(patch)
        replace_folder(staged, target)
    assert len(list(tmp_path.iterdir())) == 2
    recover_folder(target)
    assert tree(target) == filled("new")
    assert [path.name for path in tmp_path.iterdir()] == ["target"]


@pytest.mark.parametrize("number", [1, 2])
def test_next_replacement_repairs_a_break_by_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    target, staged = fill(tmp_path / "target", "old"), fill(tmp_path / "staged", "new")
    with monkeypatch.context() as patch, pytest.raises(Killed):
        kill_at_rename(patch, number)
        replace_folder(staged, target)
    replace_folder(staged, target)
    assert tree(target) == filled("new")
    assert [path.name for path in tmp_path.iterdir()] == ["target"]


def test_next_replacement_finishes_a_broken_removal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = fill(tmp_path / "target", "old")
    with monkeypatch.context() as patch, pytest.raises(Killed):
        kill_at_removal(patch)
        replace_folder(fill(tmp_path / "staged", "new"), target)
    replace_folder(fill(tmp_path / "staged", "newer"), target)
    assert tree(target) == filled("newer")
    assert [path.name for path in tmp_path.iterdir()] == ["target"]


def test_removal_that_broke_off_half_way_is_finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target, staged = fill(tmp_path / "target", "old"), fill(tmp_path / "staged", "new")
    with monkeypatch.context() as patch, pytest.raises(Killed):
        kill_at_removal(patch)
        replace_folder(staged, target)
    (left,) = (path for path in tmp_path.iterdir() if path != target)
    shutil.rmtree(left / "inner")
    recover_folder(target)
    assert [path.name for path in tmp_path.iterdir()] == ["target"]


def test_recovering_an_intact_folder_changes_nothing(tmp_path: Path) -> None:
    recover_folder(tmp_path / "target")
    assert list(tmp_path.iterdir()) == []
    target = fill(tmp_path / "target", "new")
    recover_folder(target)
    assert tree(tmp_path) == {f"target/{name}": text for name, text in filled("new").items()}


def test_neighbours_of_a_replaced_folder_are_not_touched(tmp_path: Path) -> None:
    for name in ("target2", "tar", "old"):
        fill(tmp_path / name, name)
    target = fill(tmp_path / "target", "old")
    replace_folder(fill(tmp_path / "staged", "new"), target)
    recover_folder(target)
    assert {path.name for path in tmp_path.iterdir()} == {"target", "target2", "tar", "old"}
    assert tree(tmp_path / "target2") == filled("target2")


def test_a_linked_file_shares_its_content_and_replaces_the_old_file(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "folder" / "target"
    source.write_text("new")
    link_file(source, target)
    assert target.stat().st_ino == source.stat().st_ino
    other = tmp_path / "other"
    other.write_text("newer")
    link_file(other, target)
    assert (target.read_text(), source.read_text()) == ("newer", "new")
    assert [path.name for path in target.parent.iterdir()] == ["target"]


def test_a_file_is_copied_if_links_are_impossible(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    (tmp_path / "source").write_text("content")
    monkeypatch.setattr("os.link", refuse)
    link_file(tmp_path / "source", tmp_path / "target")
    assert (tmp_path / "target").read_text() == "content"
    assert (tmp_path / "target").stat().st_ino != (tmp_path / "source").stat().st_ino


@pytest.mark.parametrize(
    "content", [b"[" * 100_000, b'{"a": "\\ud800"}', b'{"\\udfff": 1}', b"\xff", b"", b"{", b"[1, 2"]
)
def test_a_file_that_is_not_json_is_damaged_data(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(DamagedData, match="a.json is not JSON: "):
        read_json(tmp_path / "a.json")


def test_whole_characters_in_escapes_are_read(tmp_path: Path) -> None:
    assert parse_json('"\\ud83d\\udc1d \\u00e9"') == "\U0001f41d é"
    assert parse_json(b'"\\ud83d\\udc1d"') == "\U0001f41d"
