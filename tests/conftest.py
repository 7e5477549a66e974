"""One thread in every test process, and the workspaces that tests of assets and pipelines work in.

The chain is run once for all test processes; tests that change something work on a copy of the finished workspace.
"""

import gc
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ops.machine.parallel import limit_libraries
from tests.exported import copied_folder, generator_folder, make_sampler, make_unrolled  # noqa: F401
from tests.sharing import make_once
from tests.workspaces import ROOT, growset, make_workspace, one_core

MEMORY, ROOM = Path("/dev/shm"), 4 * 2**30  # where Linux has a file system in memory; bytes that must be free there

os.environ["OMP_NUM_THREADS"] = "1"
os.environ["DVC_NO_ANALYTICS"] = "1"  # of repositories that tests make with `dvc init`
limit_libraries()  # before the tests load them


def is_roomy(folder: Path) -> bool:
    """Whether there is room in a folder, and programs may lie in it."""
    if not (folder.is_dir() and os.access(folder, os.W_OK)):
        return False
    found = os.statvfs(folder)
    return not found.f_flag & os.ST_NOEXEC and found.f_bavail * found.f_frsize >= ROOM


def pytest_configure() -> None:
    """Each process of pytest-xdist gets a core of its own: what it starts then counts one core and one thread.

    Folders of tests lie in memory where there is room. Outputs, git, DVC and Dagster's history wait for the disk
    thousands of times, and a process that waits leaves its core idle.
    """
    if is_roomy(MEMORY):
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))
    if (worker := os.environ.get("PYTEST_XDIST_WORKER")) and hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cores[int(worker.removeprefix("gw")) % len(cores)]})


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The pages' commands come first: they take minutes, and at the end one core would wait for the other."""
    items.sort(key=lambda item: not item.nodeid.startswith("tests/test_documents.py"))


def pytest_collection_finish() -> None:
    """What the modules hold lives as long as the process: the collector need not look through it again and again, and
    less often than usual."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 10, 10)


@pytest.fixture(autouse=True)
def _no_foreign_home(monkeypatch: pytest.MonkeyPatch) -> None:
    """No variable names a workspace, and this process is in none: `growset ui` leaves the one that it ran in there."""
    monkeypatch.chdir(ROOT)
    for name in ("DAGSTER_HOME", "GROWSET_HOME", "DVC_STAGE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session")
def _fresh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_workspace(tmp_path_factory.mktemp("fresh") / "workspace")


@pytest.fixture
def fresh_workspace(_fresh: Path, tmp_path: Path) -> Path:
    """Nothing has run yet."""
    return shutil.copytree(_fresh, tmp_path / "workspace", symlinks=True)


@pytest.fixture(scope="session")
def _finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made once for all test processes; nothing may change it."""

    def make(folder: Path) -> None:
        root = make_workspace(folder / "workspace")
        started = time.monotonic()
        with one_core():
            result = growset(root, "run", "digits")
        assert result.exit_code == 0, result.output
        (folder / "seconds").write_text(str(time.monotonic() - started))

    return make_once(tmp_path_factory, "finished", make) / "workspace"


@pytest.fixture
def finished_workspace(_finished: Path, tmp_path: Path) -> Path:
    """A copy of a workspace in which `growset run digits` has succeeded."""
    return shutil.copytree(_finished, tmp_path / "workspace", symlinks=True)


@pytest.fixture
def run_seconds(_finished: Path) -> float:
    """How long the run took that `finished_workspace` comes from."""
    return float((_finished.parent / "seconds").read_text())


@pytest.fixture
def edit_recipe() -> Callable[[Path, str, str], None]:
    """Replace text in a workspace's recipe `digits`; the text must be there."""

    def edit(root: Path, old: str, new: str) -> None:
        path = root / "recipes" / "digits.yaml"
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))

    return edit
