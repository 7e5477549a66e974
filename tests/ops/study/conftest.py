"""The workspace of `tests.studies`, and a study of it."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path

import pytest

from ops.stages.materialization import Runtime
from ops.study.design import Study
from ops.workspaces.workspace import Workspace
from tests.studies import CONTENT, Content, make_workspace, write_study


@pytest.fixture
def main(tmp_path: Path) -> Workspace:
    return make_workspace(tmp_path.resolve() / "main")


@pytest.fixture
def content() -> Content:
    """The content of a grid.yaml; a test may change it."""
    return copy.deepcopy(CONTENT)


@pytest.fixture
def write(main: Workspace) -> Callable[[Content], Study]:
    """Write a grid.yaml of the study `digits` and load it."""

    def write_grid(content: Content) -> Study:
        return write_study(main, content)

    return write_grid


@pytest.fixture
def runtime() -> Runtime:
    return Runtime(workers=1)
