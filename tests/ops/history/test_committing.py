"""The commit of a publication in a small git repository: its contents, and kills at any step."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

import ops.history.committing
from ops.errors import UserError
from ops.history.committing import commit_publication, is_committed
from ops.history.dvc_repository import stage_addresses
from ops.history.figures import list_figures, render_figures
from ops.history.git import run_git
from ops.workspaces.workspace import Workspace


class Killed(BaseException):
    """Raised in place of a kill of the process."""


def state(root: Path) -> tuple[list[str], list[str], str]:
    """Tags, subjects of all commits, and staged files."""
    subjects = run_git(root, "log", "--format=%s").splitlines()
    return run_git(root, "tag").split(), subjects, run_git(root, "diff", "--cached", "--name-only")


def test_the_commit_holds_exactly_the_files_of_the_publication(workspace: Workspace, pointer: Path) -> None:
    root = workspace.root
    (root / "notes.txt").write_text("mine")
    assert not is_committed(workspace, "base", pointer)
    assert commit_publication(workspace, "base", pointer) == "base/v1"
    assert is_committed(workspace, "base", pointer)
    assert state(root) == (["base/v1"], ["Publish base/v1", "Start"], "")
    changed = run_git(root, "show", "--name-only", "--format=", "HEAD").split()
    assert changed == ["dvc.lock", "params.yaml", "published/.gitignore", "published/base.dvc"]
    assert "another's" not in run_git(root, "show", "HEAD:dvc.lock")
    committed = run_git(root, "show", "HEAD:params.yaml")
    assert "base: abc" in committed and "twin: def" not in committed and "- idle" not in committed
    status = run_git(root, "status", "--short", "--", ":!.growset").split()
    assert status == ["M", "dvc.lock", "M", "params.yaml", "??", "notes.txt"]


def test_an_unchanged_publication_makes_no_commit_and_a_new_pointer_the_next_version(
    workspace: Workspace, pointer: Path
) -> None:
    assert commit_publication(workspace, "base", pointer) == "base/v1"
    assert commit_publication(workspace, "base", pointer) is None
    pointer.write_text("outs: [another]\n")
    assert not is_committed(workspace, "base", pointer)
    assert commit_publication(workspace, "base", pointer) == "base/v2"
    assert state(workspace.root) == (
        ["base/v1", "base/v2"], ["Publish base/v2", "Publish base/v1", "Start"], "",
    )  # fmt: skip


def test_staged_changes_of_the_user_are_refused_before_anything_is_changed(workspace: Workspace, pointer: Path) -> None:
    (workspace.root / "notes.txt").write_text("half done")
    run_git(workspace.root, "add", "notes.txt")
    with pytest.raises(UserError, match=r"git has staged changes \(notes.txt\)"):
        commit_publication(workspace, "base", pointer)
    assert state(workspace.root) == ([], ["Start"], "notes.txt\n")


def list_active(root: Path, commit: str = "HEAD") -> list[str]:
    active: list[str] = yaml.safe_load(run_git(root, "show", f"{commit}:params.yaml"))["expansions"]
    return active


def publish_wholly(workspace: Workspace, expansion: str) -> Path:
    """A pointer, and every stage in dvc.lock."""
    path = workspace.published(expansion).with_suffix(".dvc")
    path.write_text("outs: []\n")
    lock = workspace.root / "dvc.lock"
    lock.write_text(lock.read_text() + "".join(f"  {name}: {{cmd: mine}}\n" for name in stage_addresses(expansion)))
    return path


def test_the_commit_lists_as_active_only_what_is_published(workspace: Workspace, pointer: Path) -> None:
    """`dvc pull` in a clone fails on an expansion without data, and would not fetch one that is not listed."""
    root = workspace.root
    assert list_active(root) == ["base", "twin"]
    (root / "dvc.lock").write_text("schema: '2.0'\nstages:\n")
    pointer = publish_wholly(workspace, "base")
    assert commit_publication(workspace, "base", pointer) == "base/v1"
    assert list_active(root) == ["base"], "twin has not run"
    assert "# Raised by hand.\n" in run_git(root, "show", "HEAD:params.yaml")
    assert workspace.expansions == ["base", "twin", "idle"], "the user's own list stays"
    assert commit_publication(workspace, "idle", publish_wholly(workspace, "idle")) == "idle/v1"
    assert list_active(root) == ["base", "idle"]


def test_a_list_that_the_user_committed_makes_no_new_version(workspace: Workspace, pointer: Path) -> None:
    root = workspace.root
    assert commit_publication(workspace, "base", pointer) == "base/v1"
    run_git(root, "commit", "--quiet", "--all", "--message", "My list")
    assert list_active(root) == ["base", "twin", "idle"]
    assert is_committed(workspace, "base", pointer)
    assert commit_publication(workspace, "base", pointer) is None
    # Only who asks for it gets a commit that clones can pull; its version is the one that is there.
    assert commit_publication(workspace, "base", pointer, for_clones=True) == "base/v1"
    assert list_active(root) == ["base"]
    assert state(root) == (
        ["base/v1"],
        ["Update the figures and active expansions of base/v1", "My list", "Publish base/v1", "Start"],
        "",
    )
    assert commit_publication(workspace, "base", pointer, for_clones=True) is None


def test_figures_are_committed_and_make_no_new_version(workspace: Workspace, pointer: Path) -> None:
    root = workspace.root
    (root / ".gitignore").write_text("*.json\n.growset/\n")
    for name, content in render_figures("base").items():
        (root / name).parent.mkdir(parents=True)
        (root / name).write_bytes(content)
    assert commit_publication(workspace, "base", pointer) == "base/v1"
    assert set(list_figures("base")) <= set(run_git(root, "show", "--name-only", "--format=", "HEAD").split())
    (root / list_figures("base")[0]).write_text("{}\n")
    assert is_committed(workspace, "base", pointer)
    assert commit_publication(workspace, "base", pointer) is None
    pointer.write_text("outs: [another]\n")
    assert commit_publication(workspace, "base", pointer) == "base/v2"
    assert run_git(root, "show", f"HEAD:{list_figures('base')[0]}") == "{}\n"


def test_who_has_no_name_in_git_can_publish(
    workspace: Workspace, pointer: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL", "EMAIL"):
        monkeypatch.delenv(name, raising=False)
    for key in ("user.name", "user.email"):
        run_git(workspace.root, "config", "--unset", key)
    assert commit_publication(workspace, "base", pointer) == "base/v1"
    assert run_git(workspace.root, "log", "-1", "--format=%an <%ae>") == "Growset <growset@localhost>\n"


@pytest.mark.parametrize("last", ["read-tree", "add", "hash-object", "update-index", "write-tree", "commit-tree",
                                  "advance"])  # fmt: skip
@pytest.mark.parametrize("moment", ["before", "after"])
def test_after_a_kill_at_any_step_the_next_call_completes_the_commit(
    workspace: Workspace, pointer: Path, monkeypatch: pytest.MonkeyPatch, last: str, moment: str
) -> None:
    """Killed before or after git's last call: nothing stays staged, and in the end there is one commit with one tag."""

    def run_until_killed(root: Path, *arguments: str, **options: object) -> str:
        command = arguments[2] if arguments[0] == "-c" else arguments[0]
        if command == last and moment == "before":
            raise Killed
        printed = run_git(root, *arguments, **options)
        if command == last:
            raise Killed
        return printed

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(ops.history.committing, "run_git", run_until_killed)
        commit_publication(workspace, "base", pointer)
    assert state(workspace.root)[2] == ""
    done = last == "advance" and moment == "after"
    assert is_committed(workspace, "base", pointer) == done
    assert commit_publication(workspace, "base", pointer) == (None if done else "base/v1")
    assert state(workspace.root) == (["base/v1"], ["Publish base/v1", "Start"], "")


def test_a_tag_of_another_commit_stays_and_the_next_number_is_used(workspace: Workspace, pointer: Path) -> None:
    """The user removed the publication's commit from the branch and committed something else."""
    root = workspace.root
    assert commit_publication(workspace, "base", pointer) == "base/v1"
    run_git(root, "reset", "--quiet", "HEAD^")
    (root / "notes.txt").write_text("mine")
    run_git(root, "add", "notes.txt")
    run_git(root, "commit", "--quiet", "--message", "Notes")
    assert commit_publication(workspace, "base", pointer) == "base/v2"
    assert state(root) == (["base/v1", "base/v2"], ["Publish base/v2", "Notes", "Start"], "")


def test_a_publication_that_the_user_committed_by_hand_is_tagged_in_place(workspace: Workspace, pointer: Path) -> None:
    root = workspace.root
    run_git(root, "add", "--all", "--", ":!.growset")
    run_git(root, "commit", "--quiet", "--message", "By hand")
    assert not is_committed(workspace, "base", pointer)
    assert commit_publication(workspace, "base", pointer) == "base/v1"
    assert state(root) == (["base/v1"], ["By hand", "Start"], "")
    assert run_git(root, "rev-parse", "base/v1") == run_git(root, "rev-parse", "HEAD")
    assert is_committed(workspace, "base", pointer)
    assert commit_publication(workspace, "base", pointer) is None
    (root / "notes.txt").write_text("mine")
    run_git(root, "add", "notes.txt")
    run_git(root, "commit", "--quiet", "--message", "Notes")
    assert commit_publication(workspace, "base", pointer) is None, "the tag before holds the very same publication"
    pointer.write_text("outs: [another]\n")
    run_git(root, "add", "--", str(pointer))
    run_git(root, "commit", "--quiet", "--message", "Again by hand")
    assert commit_publication(workspace, "base", pointer) == "base/v2"
    assert state(root) == (["base/v1", "base/v2"], ["Again by hand", "Notes", "By hand", "Start"], "")
