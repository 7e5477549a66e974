"""One torch thread in every test process, and the workspaces that tests of assets and pipelines work in.

The chain is run once per session; tests that change something work on a copy of the finished workspace.
"""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tests.workspaces import growset, make_workspace

torch.set_num_threads(1)  # with more threads than free cores torch runs a hundred times slower


@pytest.fixture(autouse=True)
def _no_foreign_home(monkeypatch: pytest.MonkeyPatch) -> None:
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
    root = make_workspace(tmp_path_factory.mktemp("finished") / "workspace")
    result = growset(root, "run", "digits")
    assert result.exit_code == 0, result.output
    return root


@pytest.fixture
def finished_workspace(_finished: Path, tmp_path: Path) -> Path:
    """A copy of a workspace in which `growset run digits` has succeeded."""
    return shutil.copytree(_finished, tmp_path / "workspace", symlinks=True)


@pytest.fixture
def edit_recipe() -> Callable[[Path, str, str], None]:
    """Replace text in a workspace's recipe `digits`; the text must be there."""

    def edit(root: Path, old: str, new: str) -> None:
        path = root / "recipes" / "digits.yaml"
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))

    return edit
