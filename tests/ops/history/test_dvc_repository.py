"""Repair of files that a killed DVC tears, here cut by hand: dvc.lock and the rwlock, with and without a copy."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import psutil
import pytest

from ops.errors import DamagedData
from ops.history.dvc_repository import changed_stages, mend, open_repo, remember_lock, stage_addresses
from tests.workspaces import run

WHOLE = "schema: '2.0'\nstages:\n  scorer@größer:\n    cmd: growset materialize scorer größer\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / ".dvc" / "tmp").mkdir(parents=True)
    (tmp_path / "dvc.lock").write_text(WHOLE, encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize("size", [0, 10, WHOLE.encode().index("ö".encode()) + 1, len(WHOLE.encode()) - 1])
def test_a_torn_lock_is_restored(root: Path, size: int) -> None:
    remember_lock(root)
    (root / "dvc.lock").write_bytes(WHOLE.encode()[:size])
    remember_lock(root)  # a torn dvc.lock must not replace the whole copy
    mend(root)
    assert (root / "dvc.lock").read_text(encoding="utf-8") == WHOLE


def test_the_newest_whole_lock_is_restored(root: Path) -> None:
    mend(root)
    newer = WHOLE + "  verdict@base: {cmd: growset}\n"
    (root / "dvc.lock").write_text(newer, encoding="utf-8")
    mend(root)
    assert (root / "dvc.lock").read_text(encoding="utf-8") == newer
    (root / "dvc.lock").write_text("", encoding="utf-8")
    mend(root)
    assert (root / "dvc.lock").read_text(encoding="utf-8") == newer


def test_a_lock_that_was_removed_or_merged_by_hand_is_left_alone(root: Path) -> None:
    mend(root)
    conflict = f"<<<<<<< HEAD\n{WHOLE}=======\n>>>>>>> other\n"
    (root / "dvc.lock").write_text(conflict, encoding="utf-8")
    mend(root)
    assert (root / "dvc.lock").read_text(encoding="utf-8") == conflict
    assert "<<<<<<<" not in (root / ".growset" / "dvc.lock").read_text(encoding="utf-8")
    (root / "dvc.lock").unlink()
    mend(root)
    assert not (root / "dvc.lock").exists()


def test_a_first_lock_that_was_not_written_yet_is_removed(root: Path) -> None:
    (root / "dvc.lock").write_text("")
    mend(root)
    assert not (root / "dvc.lock").exists()


def test_a_torn_lock_without_a_copy_is_damage_and_stays(root: Path) -> None:
    (root / "dvc.lock").write_text("schema: '2.0'\nstag")
    with pytest.raises(DamagedData, match="git checkout dvc.lock"):
        mend(root)
    assert (root / "dvc.lock").read_text() == "schema: '2.0'\nstag"


@pytest.mark.parametrize("text", ["", '{"write": {"a'])
def test_a_torn_rwlock_is_removed(root: Path, text: str) -> None:
    (root / ".dvc" / "tmp" / "rwlock").write_text(text)
    mend(root)
    assert not (root / ".dvc" / "tmp" / "rwlock").exists()


def test_locks_of_ended_processes_are_dropped_and_those_of_running_ones_stay(root: Path) -> None:
    """A lock is also dropped if a younger process has the number: this one, if the file is an hour older than it."""
    path = root / ".dvc" / "tmp" / "rwlock"
    gone, here = {"pid": 2**22 + 1, "cmd": "dvc repro"}, {"pid": os.getpid(), "cmd": "dvc repro"}
    path.write_text(json.dumps({"write": {"a": gone, "b": here}, "read": {"c": [gone, here], "d": [gone]}}))
    mend(root)
    assert json.loads(path.read_text()) == {"write": {"b": here}, "read": {"c": [here]}}
    before = path.read_bytes()
    mend(root)
    assert path.read_bytes() == before
    an_hour_ago = psutil.Process().create_time() - 3600
    os.utime(path, (an_hour_ago, an_hour_ago))
    mend(root)
    assert json.loads(path.read_text()) == {"write": {}, "read": {}}


def test_every_use_of_dvc_repairs_first(finished_workspace: Path) -> None:
    """Against DVC itself: it refuses both torn files, and finds all stages again after the repair."""
    assert changed_stages(finished_workspace, stage_addresses("digits")) == {}
    lock, rwlock = finished_workspace / "dvc.lock", finished_workspace / ".dvc" / "tmp" / "rwlock"
    shutil.copyfile(lock, finished_workspace.parent / "dvc.lock")
    lock.write_bytes(lock.read_bytes()[:8192])  # as much as Python writes at its first flush
    rwlock.write_text("")
    assert run(finished_workspace, "dvc", "status", check=False).returncode != 0
    assert changed_stages(finished_workspace, stage_addresses("digits")) == {}
    assert lock.read_bytes() == (finished_workspace.parent / "dvc.lock").read_bytes()
    with open_repo(finished_workspace) as repo:
        repo.commit(f"{finished_workspace / 'dvc.yaml'}:scorer@digits", force=True)
    assert run(finished_workspace, "dvc", "status").stdout.strip() == "Data and pipelines are up to date."
    lock.write_text(f"<<<<<<< HEAD\n{lock.read_text()}=======\n>>>>>>> other\n")
    with pytest.raises(DamagedData, match=r"dvc\.lock, in which git may have left .* git checkout HEAD -- "):
        changed_stages(finished_workspace, stage_addresses("digits"))
