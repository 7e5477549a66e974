"""Another process uses the git repository while a publication is committed: its work is not lost, ours is not left half
done, and the same call succeeds afterwards."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import ops.history.committing
from ops.errors import EnvironmentFault
from ops.history.committing import commit_publication, is_committed
from ops.history.git import run_git
from ops.workspaces.workspace import Workspace
from tests.ops.history.test_committing import state


def clone(root: Path, folder: Path) -> Path:
    """A colleague's clone with the files of this publication."""
    run_git(root, "clone", "--quiet", str(root), str(folder))
    for name, value in {"user.name": "Colleague", "user.email": "colleague@growset.example"}.items():
        run_git(folder, "config", name, value)
    for name in ("params.yaml", "dvc.lock"):
        shutil.copyfile(root / name, folder / name)
    shutil.copytree(root / "published", folder / "published")
    return folder


def before(monkeypatch: pytest.MonkeyPatch, command: str, happen: Callable[[], object]) -> None:
    """Call a function once, right before our git runs this command."""
    events = [happen]

    def run(root: Path, *arguments: str, **options: object) -> str:
        if command in arguments and events:
            events.pop()()
        return run_git(root, *arguments, **options)

    monkeypatch.setattr(ops.history.committing, "run_git", run)


def test_a_fetched_tag_is_not_used_again(workspace: Workspace, pointer: Path, tmp_path: Path) -> None:
    root, colleague = workspace.root, clone(workspace.root, tmp_path / "colleague")
    (colleague / "published" / "base.dvc").write_text("outs: [theirs]\n")
    theirs = Workspace(colleague)
    assert commit_publication(theirs, "base", theirs.published("base").with_suffix(".dvc")) == "base/v1"
    run_git(root, "fetch", "--quiet", str(colleague), "refs/tags/*:refs/tags/*")
    fetched = run_git(root, "rev-parse", "base/v1")
    assert commit_publication(workspace, "base", pointer) == "base/v2"
    assert run_git(root, "rev-parse", "base/v1") == fetched
    assert state(root) == (["base/v1", "base/v2"], ["Publish base/v2", "Start"], "")


def test_a_colleagues_commit_of_the_same_publication_is_adopted(
    workspace: Workspace, pointer: Path, tmp_path: Path
) -> None:
    root, colleague = workspace.root, clone(workspace.root, tmp_path / "colleague")
    theirs = Workspace(colleague)
    assert commit_publication(theirs, "base", theirs.published("base").with_suffix(".dvc")) == "base/v1"
    run_git(root, "fetch", "--quiet", str(colleague), "refs/tags/*:refs/tags/*")
    assert commit_publication(workspace, "base", pointer) == "base/v1"
    assert run_git(root, "rev-parse", "HEAD") == run_git(colleague, "rev-parse", "HEAD")
    assert state(root) == (["base/v1"], ["Publish base/v1", "Start"], "")
    assert is_committed(workspace, "base", pointer)


def test_a_commit_made_meanwhile_is_kept(workspace: Workspace, pointer: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = workspace.root
    before(monkeypatch, "advance", lambda: run_git(root, "commit", "--quiet", "--allow-empty", "--message", "Theirs"))
    with pytest.raises(EnvironmentFault, match="^another commit was made in .*; run it again to publish on top of it$"):
        commit_publication(workspace, "base", pointer)
    assert state(root) == ([], ["Theirs", "Start"], "")
    assert commit_publication(workspace, "base", pointer) == "base/v1"
    assert state(root) == (["base/v1"], ["Publish base/v1", "Theirs", "Start"], "")


def test_a_tag_made_meanwhile_is_kept(workspace: Workspace, pointer: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = workspace.root
    before(monkeypatch, "advance", lambda: run_git(root, "tag", "base/v1"))
    with pytest.raises(EnvironmentFault, match="refs/tags/base/v1") as caught:
        commit_publication(workspace, "base", pointer)
    assert "\n" not in str(caught.value)
    assert state(root) == (["base/v1"], ["Start"], "")
    assert commit_publication(workspace, "base", pointer) == "base/v2"
    assert state(root) == (["base/v1", "base/v2"], ["Publish base/v2", "Start"], "")


@pytest.mark.parametrize("moment", ["beginning", "last step"])
def test_another_running_git_is_a_fault_and_nothing_has_moved(
    workspace: Workspace, pointer: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """The second lock is found only after the branch has moved."""
    root, lock = workspace.root, workspace.root / ".git" / "index.lock"
    if moment == "beginning":
        lock.touch()
    else:
        before(monkeypatch, "advance", lock.touch)
    with pytest.raises(EnvironmentFault, match="index.lock") as caught:
        commit_publication(workspace, "base", pointer)
    assert "\n" not in str(caught.value)
    lock.unlink()
    assert state(root) == ([], ["Start"], "")
    assert commit_publication(workspace, "base", pointer) == "base/v1"
    assert state(root) == (["base/v1"], ["Publish base/v1", "Start"], "")


def test_two_expansions_published_at_once_both_get_their_commit(workspace: Workspace, pointer: Path) -> None:
    twin = pointer.with_name("twin.dvc")
    twin.write_text("outs: [twin]\n")
    with ThreadPoolExecutor() as pool:
        made = pool.map(lambda name: commit_publication(workspace, name, pointer.with_name(f"{name}.dvc")),
                        ["base", "twin"])  # fmt: skip
    assert list(made) == ["base/v1", "twin/v1"]
    tags, subjects, staged = state(workspace.root)
    assert (tags, sorted(subjects), staged) == (
        ["base/v1", "twin/v1"], ["Publish base/v1", "Publish twin/v1", "Start"], "",
    )  # fmt: skip
    assert is_committed(workspace, "base", pointer) and is_committed(workspace, "twin", twin)
