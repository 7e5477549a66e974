"""A publication that is interrupted or overtaken, in whole workspaces: git is as it was, the same command succeeds."""

import shutil
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from ops.files.manifests import PUBLISHED
from ops.history.dvc_repository import stage_addresses
from ops.machine.waiting import Waiting
from ops.remotes.transfer import find_faults
from ops.workspaces.locks import exclusive
from ops.workspaces.workspace import Workspace
from tests.publications import digest
from tests.versions import publish_with_commits
from tests.workspaces import growset, run

Edit = Callable[[Path, str, str], None]


def git(root: Path, *arguments: str) -> str:
    return run(root, "git", *arguments).stdout.strip()


def change_licence(root: Path) -> None:
    """Another dataset is published from the same stages: its card says another licence."""
    source = root / "sources" / "digits.yaml"
    source.write_text(source.read_text().replace("BSD-3-Clause", "CC0-1.0"))
    git(root, "commit", "--quiet", "--all", "--message", "Another licence")


def succeed(root: Path) -> None:
    result = growset(root, "run", "digits")
    assert result.exit_code == 0, result.output
    pointer = str(root / "published" / "digits.dvc")
    assert find_faults(root, [pointer, *stage_addresses("digits")]) == {}


@pytest.fixture
def storage(tmp_path: Path) -> Path:
    return tmp_path / "storage"


@pytest.fixture
def root(finished_workspace: Path, storage: Path) -> Path:
    publish_with_commits(finished_workspace, str(storage))
    return finished_workspace


@pytest.mark.slow
def test_a_push_that_breaks_off_leaves_git_alone_and_is_resumed(root: Path, storage: Path) -> None:
    """One of the remote's folders leads to a place that is gone; what belongs elsewhere is sent."""
    head = git(root, "rev-parse", "HEAD")
    objects = [path for path in (root / ".dvc" / "cache" / "files" / "md5").glob("*/*") if path.suffix != ".dir"]
    obstacle = storage / "files" / "md5" / sorted(objects)[0].parent.name
    obstacle.parent.mkdir(parents=True)
    obstacle.symlink_to(storage / "gone" / "away")
    result = growset(root, "run", "digits")
    assert result.exit_code == 3, result.output
    (sentence,) = result.stderr.splitlines()[-1:]
    assert sentence.startswith("growset: pushing to the DVC remote failed: ") and f"'{obstacle}" in sentence
    assert len(list(storage.glob("files/md5/*/*"))) > 0
    assert (git(root, "rev-parse", "HEAD"), git(root, "tag"), git(root, "diff", "--cached")) == (head, "", "")
    obstacle.unlink()
    succeed(root)
    assert git(root, "tag") == "digits/v1"


@pytest.mark.slow
def test_while_git_works_the_commit_is_refused_and_while_somebody_publishes_a_second_waits(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = root / ".git" / "index.lock"
    lock.touch()
    result = growset(root, "run", "digits")
    assert result.exit_code == 3, result.output
    assert result.stderr.splitlines()[-1] == (
        f"growset: another git process is at work, or was killed and left {lock}; run it again when that file is gone"
    )
    lock.unlink()
    assert git(root, "tag") == ""
    somebody = ExitStack()
    somebody.enter_context(exclusive(Workspace(root), "digits", PUBLISHED))
    said: list[str] = []

    def let_go(waiting: Waiting, what: str) -> None:
        said.append(what)
        somebody.close()

    monkeypatch.setattr(Waiting, "say", let_go)
    succeed(root)
    assert said == ["stage published_dataset of 'digits': another process is at it"]
    assert git(root, "tag") == "digits/v1"


@pytest.mark.slow
def test_a_colleague_who_was_faster_keeps_the_tag_and_either_version_can_be_taken(root: Path, tmp_path: Path) -> None:
    """Both publish digits/v1 of their own from the same commit; the colleague has brought theirs to the server."""
    git(root, "clone", "--quiet", "--bare", str(root), str(tmp_path / "server.git"))
    git(root, "remote", "add", "origin", str(tmp_path / "server.git"))
    colleague = shutil.copytree(root, tmp_path / "colleague", symlinks=True)
    change_licence(colleague)
    succeed(colleague)
    git(colleague, "push", "--quiet", "--tags", "origin", "main")

    git(root, "fetch", "--quiet", "--tags", "origin")
    succeed(root)
    assert git(root, "tag").split() == ["digits/v1", "digits/v2"]
    assert git(root, "rev-parse", "digits/v1") == git(colleague, "rev-parse", "HEAD")
    assert git(root, "rev-parse", "digits/v2") == git(root, "rev-parse", "HEAD")

    conflict = run(root, "git", "merge", "origin/main", check=False)
    assert "published/digits.dvc" in conflict.stdout
    git(root, "checkout", "--theirs", "published/digits.dvc")
    git(root, "commit", "--quiet", "--all", "--no-edit")
    result = growset(root, "pull", "digits")
    assert result.exit_code == 0, result.output
    assert digest(root / "published") == digest(colleague / "published")
    assert "digits: unchanged" in growset(root, "run", "digits").output
    assert git(root, "tag").split() == ["digits/v1", "digits/v2"]
