"""The check of the published dataset's copy in the remote."""

from __future__ import annotations

from pathlib import Path

import pytest

from ops.chain import remote_check
from ops.chain.remote_check import examine_remote
from ops.workspaces.workspace import Workspace


@pytest.fixture
def published(workspace: Workspace) -> Workspace:
    pointer = workspace.published("base").with_suffix(".dvc")
    pointer.parent.mkdir(parents=True, exist_ok=True)
    pointer.write_text("outs: []\n")
    return workspace


def answer(monkeypatch: pytest.MonkeyPatch, remote: tuple[str, str] | None, faults: dict[Path, str]) -> None:
    monkeypatch.setattr(remote_check, "default_remote", lambda root: remote)
    monkeypatch.setattr(remote_check, "find_faults", lambda root, targets: faults)
    monkeypatch.setattr(remote_check, "pushed_targets", lambda workspace, expansion: [expansion])


def test_what_is_not_published_cannot_be_in_the_remote(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    answer(monkeypatch, ("storage", "s3://bucket"), {})
    finding = examine_remote(workspace, "base")
    assert finding.told == "nothing is published yet; what to do: growset run base"


def test_without_a_remote_there_is_nothing_to_find(published: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    answer(monkeypatch, None, {published.root / "x": "is missing"})
    finding = examine_remote(published, "base")
    assert finding.passed and "has no DVC remote" in finding.sentence


def test_a_fault_is_named_with_the_command_that_mends_it(published: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    remote = ("storage", "s3://bucket")
    answer(monkeypatch, remote, {})
    assert (
        examine_remote(published, "base").sentence == "the remote 'storage' has every object of the published dataset"
    )
    faulty = {published.root / "published" / "base" / name: "is missing" for name in ("a.parquet", "b.parquet")}
    answer(monkeypatch, remote, faulty)
    finding = examine_remote(published, "base")
    assert not finding.passed and finding.figures == {"faulty_objects": 2}
    assert finding.told == (
        "the copy of published/base/a.parquet in the remote 'storage' is missing (1 more of its objects have faults);"
        " what to do: growset push base"
    )
