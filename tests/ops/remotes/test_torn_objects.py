"""DVC's unfinished files: those that a killed push leaves are deleted if they are old, and nothing else is."""

import os
import subprocess
import sys
import time
from pathlib import Path

from ops.history.dvc_repository import object_folders
from ops.remotes.torn_objects import MIN_AGE, remove_torn
from tests.workspaces import user_environment

TORN = ".wI9X2m0cR3aTq-b_KzvYpQ.tmp"  # as dvc_objects.fs.utils.tmp_fname makes them


def make(path: Path, age: float) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x")
    os.utime(path, (time.time() - age,) * 2)
    return path


def test_only_old_unfinished_objects_are_deleted(tmp_path: Path) -> None:
    folder = tmp_path / "files" / "md5"
    torn = {make(folder / name, MIN_AGE + 60) for name in (f"00/{TORN}", f"ff/{TORN}", TORN)}
    kept = {make(folder / name, MIN_AGE - 60) for name in ("00/.aaaaaaaaaaaaaaaaaaaaaa.tmp",)} | {
        make(folder / name, 2 * MIN_AGE)
        for name in (
            "00/0123456789abcdef0123456789abcd", "00/notes.tmp", "00/.short.tmp", f"00/x{TORN}", f"00/deep/{TORN}",
            f"other/{TORN}", "00/.aaaaaaaaaaaaaaaaaaaaaaa.tmp",
        )
    }  # fmt: skip
    link = folder / "01" / TORN
    link.parent.mkdir()
    link.symlink_to(make(tmp_path / "elsewhere", 2 * MIN_AGE))
    assert set(remove_torn([folder, tmp_path / "missing"])) == torn
    assert not any(path.exists() for path in torn) and all(path.exists() for path in kept)
    assert link.is_symlink() and (tmp_path / "elsewhere").exists()


def test_dvc_still_uses_these_names_and_folders(fresh_workspace: Path) -> None:
    from dvc_objects.fs.utils import tmp_fname

    assert len(tmp_fname()) == len(TORN)
    remote = fresh_workspace.parent / "remote"
    command = [sys.executable, "-m", "dvc", "remote", "add", "--default", "storage", str(remote)]
    subprocess.run(command, cwd=fresh_workspace, env=user_environment(), check=True, capture_output=True)
    folders = object_folders(fresh_workspace)
    assert folders == [fresh_workspace / ".dvc" / "cache" / "files" / "md5", remote / "files" / "md5"]
