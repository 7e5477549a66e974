"""Disk full, folder read-only, memory short: exit code 3 and one sentence; nothing is lost, and the next run completes
the work."""

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ops.chain.driver import Chain
from ops.datasets.shards import find_shards
from ops.errors import EnvironmentFault
from ops.files.manifests import read_manifest
from ops.history.dvc_repository import changed_stages, stage_addresses
from ops.judging import scorer
from ops.machine import parallel
from ops.recipe.stages import STAGES
from ops.workspaces.workspace import Workspace
from pipelines.runs import materialize_assets
from tests.workspaces import growset, one_core, run

Edit = Callable[[Path, str, str], None]

# A root process may write anywhere; without these capabilities it keeps to the permission bits as anybody does.
AS_ANYBODY = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
needs_permissions = pytest.mark.skipif(
    bool(AS_ANYBODY) and shutil.which("setpriv") is None, reason="root without setpriv ignores permission bits"
)


def last_line(code: int, stderr: str) -> str:
    """Growset's sentence: Dagster may have said before that it cannot write its log."""
    assert code == 3, stderr
    assert "Traceback" not in stderr
    sentence = stderr.splitlines()[-1]
    assert sentence.startswith("growset: ")
    assert sentence.endswith("; fix this and run it again; finished work is kept")
    return sentence


def stop(root: Path) -> str:
    """The sentence with which a run stops here."""
    with one_core():
        result = growset(root, "run", "digits")
    return last_line(result.exit_code, result.stderr)


def stop_as_anybody(root: Path) -> str:
    """Likewise for a process that may not write everywhere."""
    done = run(root, *AS_ANYBODY, "growset", "run", "digits", check=False)
    return last_line(done.returncode, done.stderr)


def contents(root: Path) -> dict[str, str]:
    """Content hash of each stage's output, by stage. The report also tells how many seconds each took."""
    outputs = {stage: Workspace(root).output("digits", stage) for stage in STAGES if stage != "report"}
    return {stage: read_manifest(folder)["content"] for stage, folder in outputs.items() if folder.exists()}


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, in memory."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = shutil.which("mount") or pytest.skip("no mount here")
    done = subprocess.run([mount, "-t", "tmpfs", "-o", "size=32m", "tmpfs", disk], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"mounting takes rights that are not there: {done.stderr.strip()}")
    yield disk
    subprocess.run(["umount", "--lazy", disk], check=True)


def leave_free(disk: Path, size: int) -> Path:
    """Fill the disk with a file until `size` bytes are free."""
    ballast = disk / "ballast"
    ballast.unlink(missing_ok=True)
    there = os.statvfs(disk)
    ballast.write_bytes(bytes(there.f_bavail * there.f_frsize - size))
    return ballast


@pytest.mark.slow
def test_a_disk_that_fills_up_twice_loses_no_work(_fresh: Path, finished_workspace: Path, small_disk: Path) -> None:
    root = shutil.copytree(_fresh, small_disk / "workspace", symlinks=True)
    leave_free(small_disk, 100_000)
    assert "Dagster's history" in stop(root)
    assert contents(root) == {}
    ballast = leave_free(small_disk, 1_500_000)
    assert "growset: " in stop(root)
    kept = contents(root)
    assert 0 < len(kept) < len(STAGES) - 1
    ballast.unlink()  # somebody made room
    made = {stage: (Workspace(root).output("digits", stage) / "manifest.json").stat().st_mtime_ns for stage in kept}
    with one_core():
        result = growset(root, "run", "digits")
    assert result.exit_code == 0, result.output
    for stage, time in made.items():
        assert (Workspace(root).output("digits", stage) / "manifest.json").stat().st_mtime_ns == time, stage
    assert contents(root) == contents(finished_workspace)
    assert list((root / ".growset" / "staging").iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (OSError(28, "No space left on device"), "[Errno 28] No space left on device"),
        (RuntimeError("I/O error: No space left on device (os error 28)"), "I/O error: No space left on device"),
        (MemoryError("Unable to allocate 4. TiB"), "there is not enough memory: Unable to allocate 4. TiB"),
    ],
)
def test_a_disk_or_a_memory_that_is_full_while_images_are_drawn(
    finished_workspace: Path, edit_recipe: Edit, monkeypatch: pytest.MonkeyPatch, words: Exception, said: str
) -> None:
    """In the stage's builder; with several slices in Dagster's mapped steps, outside of any builder."""
    edit_recipe(finished_workspace, "steps: 1, solver: euler", "steps: 2, solver: euler")
    before = contents(finished_workspace)

    def refuse(*arguments: Any, **options: Any) -> None:
        raise words

    with monkeypatch.context() as patch:
        patch.setattr(np, "save", refuse)
        result = growset(finished_workspace, "run", "digits")
        with pytest.raises(EnvironmentFault, match=f"^{re.escape(said)}"):
            materialize_assets(Chain(Workspace(finished_workspace), slices=2), "digits", ["generated_images"])
    sentence = last_line(result.exit_code, result.stderr)
    assert sentence.startswith(f"growset: stage generated_images of 'digits' stopped: {said}")
    after = contents(finished_workspace)
    assert {stage for stage in before if before[stage] != after[stage]} == {"generator_onnx"}
    assert growset(finished_workspace, "run", "digits").exit_code == 0


@pytest.mark.slow
def test_a_worker_that_is_killed_as_by_a_lack_of_memory(
    finished_workspace: Path, edit_recipe: Edit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of the two that train the scorer's folds; the run says so, in both doors, and the next one goes on."""
    edit_recipe(finished_workspace, "scorer: {folds: 2, steps: 40", "scorer: {folds: 2, steps: 41")
    before, killed = contents(finished_workspace), []

    class Killing(ProcessPoolExecutor):
        def submit(self, *arguments: Any, **options: Any) -> Any:
            future = super().submit(*arguments, **options)
            (first, *_) = self._processes
            if first not in killed:
                killed.append(first)
                os.kill(first, signal.SIGKILL)
            return future

    told = "a worker process was ended from outside, as the system does when memory runs out"
    with monkeypatch.context() as patch:
        patch.setattr(scorer, "worth_workers", lambda *arguments: 2)
        patch.setattr(parallel, "ProcessPoolExecutor", Killing)
        sentence = stop(finished_workspace)
        with pytest.raises(EnvironmentFault, match=told):
            materialize_assets(Chain(Workspace(finished_workspace)), "digits", ["scorer"])
    assert len(killed) == 2 and sentence.startswith(f"growset: stage scorer of 'digits' stopped: {told}; ")
    assert contents(finished_workspace) == before
    with one_core():
        assert growset(finished_workspace, "materialize", "scorer", "digits").exit_code == 0
    after = contents(finished_workspace)
    assert {stage for stage in before if before[stage] != after[stage]} == {"scorer"}


def test_an_output_whose_bytes_changed_on_the_disk_is_made_again(finished_workspace: Path) -> None:
    """Of the same length, so that only its bytes tell; kept as it is, it would be committed and published."""
    (shard, *_) = find_shards(finished_workspace / "data" / "digits" / "generated_images", "generated")
    before, all_contents = shard.read_bytes(), contents(finished_workspace)
    damaged = bytearray(before)
    damaged[len(before) // 2] ^= 1
    shard.write_bytes(damaged)
    with one_core():
        result = growset(finished_workspace, "run", "digits")
    assert result.exit_code == 0, result.output
    assert shard.read_bytes() == before
    assert contents(finished_workspace) == all_contents
    assert changed_stages(finished_workspace, stage_addresses("digits")) == {}


@needs_permissions
def test_an_output_folder_that_is_read_only(finished_workspace: Path, edit_recipe: Edit) -> None:
    edit_recipe(finished_workspace, "real_weight: 4.0", "real_weight: 7.0")
    before = contents(finished_workspace)
    data = finished_workspace / "data" / "digits"
    data.chmod(0o555)
    sentence = stop_as_anybody(finished_workspace)
    assert sentence.startswith("growset: stage mixed_dataset of 'digits' stopped: [Errno 13] Permission denied: ")
    assert str(data / "mixed_dataset") in sentence
    assert contents(finished_workspace) == before
    data.chmod(0o755)
    assert growset(finished_workspace, "materialize", "mixed_dataset", "digits").exit_code == 0
    assert contents(finished_workspace)["mixed_dataset"] != before["mixed_dataset"]


@needs_permissions
def test_a_workspace_that_is_read_only_can_be_checked_but_not_run(fresh_workspace: Path) -> None:
    folders = [fresh_workspace, *(path for path in fresh_workspace.rglob("*") if path.is_dir())]
    for folder in folders:
        folder.chmod(0o555)
    try:
        assert run(fresh_workspace, *AS_ANYBODY, "growset", "check").stdout == "digits: ok\n"
        sentence = stop_as_anybody(fresh_workspace)
    finally:
        for folder in folders:
            folder.chmod(0o755)
    assert f"Permission denied: '{fresh_workspace}" in sentence
    assert not (fresh_workspace / "data").exists()
