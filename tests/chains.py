"""Chains for tests, of the expansion `digits`: run to their end or stage by stage, copied, and checked."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ops.chain.checks import CHECKS, run_check
from ops.chain.driver import Chain
from ops.generators.folder import NET
from ops.generators.onnx import export
from ops.stages.materialization import Runtime
from ops.workspaces.workspace import Workspace
from tests.workspaces import growset, one_core


def run_whole(root: Path) -> Workspace:
    """The workspace after `growset run digits`, which has succeeded."""
    with one_core():
        result = growset(root, "run", "digits", "--workers", "1")
    assert result.exit_code == 0, result.output
    return Workspace(root)


def run_stages(workspace: Workspace, *stages: str) -> None:
    """These stages, in order, each of which must succeed."""
    chain = Chain(workspace, Runtime(workers=1))
    with one_core():
        for stage in stages:
            chain.run("digits", stage)


@contextmanager
def exported_before(finished: Workspace) -> Iterator[None]:
    """Inside, a denoiser's network is exported as that of `digits` was in a finished workspace: exporting the same
    weights again takes seconds."""
    known = (finished.output("digits", "generator_onnx") / NET).read_bytes()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(export, "export_net", lambda network, shape, path: path.write_bytes(known))
        yield


def copy_workspace(workspace: Workspace, folder: Path) -> Workspace:
    """A copy below `folder`, to be changed."""
    return Workspace(shutil.copytree(workspace.root, folder / "workspace", symlinks=True))


def assert_checked(workspace: Workspace) -> None:
    """All checks that block pass."""
    for check in CHECKS:
        finding = run_check(check, workspace, "digits")
        assert finding.passed or not check.blocking, finding.sentence
