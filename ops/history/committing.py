"""Commit a publication to git: exactly its pointer, its recipe and its own entries of dvc.lock and params.yaml.

The commit is built outside the user's index and becomes visible at once: one git process moves tag and branch, if both
are still as they were read, and updates the index. The loser of a race leaves no changes.
"""

from __future__ import annotations

import io
import re
import tempfile
from pathlib import Path

from ruamel.yaml import YAML

from ops.errors import EnvironmentFault, UserError
from ops.history.dvc_repository import LOCK, stage_addresses
from ops.history.git import run_git
from ops.machine.interruption import shielded
from ops.workspaces.locks import one_committer
from ops.workspaces.workspace import PARAMS, Workspace


def commit_publication(workspace: Workspace, expansion: str, pointer: Path) -> str | None:
    """Commit and tag as <expansion>/vN; returns the tag, or None if HEAD and a tag already hold this publication.

    N is one more than the largest of all tags here, fetched tags included. Entries of other expansions stay
    uncommitted, because their data may not be pushed. UserError if the user has staged changes, EnvironmentFault if
    another process is committing or has committed meanwhile.
    """
    with one_committer(workspace):
        return _commit(workspace, expansion, pointer)


def _commit(workspace: Workspace, expansion: str, pointer: Path) -> str | None:
    root = workspace.root
    if (lock := root / run_git(root, "rev-parse", "--git-path", "index.lock").strip()).exists():
        raise EnvironmentFault(
            f"another git process is at work, or was killed and left {lock}; run it again when that file is gone"
        )
    if staged := run_git(root, "diff", "--cached", "--name-only").split():
        raise UserError(f"git has staged changes ({staged[0]}); commit or unstage them before publishing")
    head, tree = (run_git(root, "rev-parse", name).strip() for name in ("HEAD", "HEAD^{tree}"))
    wanted = _write_tree(workspace, expansion, pointer)
    version = _last_version(root, expansion)
    tag = f"{expansion}/v{version}"
    if wanted == tree:
        if _is_tagged(workspace, expansion, pointer):
            return None
        tag = f"{expansion}/v{version + 1}"  # the user has committed it by hand: only the tag is missing
        run_git(root, "update-ref", "--stdin", text=f"create refs/tags/{tag} {head}\n", shielded=True)
        return tag
    if version and run_git(root, "log", "-1", "--format=%T %P", tag).split() == [wanted, head]:
        # The tagged next commit already exists: a colleague made it from this HEAD, and it is not merged yet.
        _advance(root, head, run_git(root, "rev-parse", f"{tag}^{{commit}}").strip(), tag, tagged=True)
        return tag
    tag = f"{expansion}/v{version + 1}"
    signed = run_git(root, "config", "--type=bool", "--default=false", "commit.gpgsign").strip() == "true"
    options = ["-S"] if signed else []
    commit = run_git(root, "commit-tree", *options, wanted, "-p", head, "-m", f"Publish {tag}").strip()
    _advance(root, head, commit, tag)
    return tag


@shielded()
def _advance(root: Path, old: str, new: str, tag: str, *, tagged: bool = False) -> None:
    """Move HEAD's branch and the index from commit `old` to `new`, and create the tag unless it is there.

    Branch and tag are one transaction, which git refuses if either has changed. The index follows in the same shielded
    process, so that killing Growset cannot stop between the two steps.
    """
    reference = f"refs/tags/{tag}"
    changes = [f"verify {reference} {new}" if tagged else f"create {reference} {new}", f"update HEAD {new} {old}"]
    # git runs an alias that starts with `!` as a shell command. So one git process does both steps, in a session of its
    # own (`shielded`). Two calls from here could be killed in between.
    both = 'alias.advance=!git update-ref -m "publish $GROWSET_TAG" --stdin && git reset --quiet'
    try:
        text, environment = "\n".join([*changes, ""]), {"GROWSET_TAG": tag}
        run_git(root, "-c", both, "advance", text=text, environment=environment, shielded=True)
    except EnvironmentFault as error:
        now = run_git(root, "rev-parse", "HEAD").strip()
        if now == new:  # the branch has moved, but another process holds the index: undo the move
            back = [*([] if tagged else [f"delete {reference} {new}"]), f"update HEAD {old} {new}"]
            run_git(root, "update-ref", "--stdin", text="\n".join([*back, ""]), shielded=True)
        elif now != old:
            raise EnvironmentFault(
                f"another commit was made in {root} while '{tag}' was prepared; run it again to publish on top of it"
            ) from error
        raise


def is_committed(workspace: Workspace, expansion: str, pointer: Path) -> bool:
    """Whether the last commit already holds everything that `commit_publication` would commit, and a tag does too."""
    return _holds(workspace, "HEAD", expansion, pointer) and _is_tagged(workspace, expansion, pointer)


def _is_tagged(workspace: Workspace, expansion: str, pointer: Path) -> bool:
    """Whether any tagged version holds this publication; the user may have gone back to an old one."""
    return any(_holds(workspace, tag, expansion, pointer) for tag in _list_tags(workspace.root, expansion))


def _holds(workspace: Workspace, commit: str, expansion: str, pointer: Path) -> bool:
    """Whether this publication would change nothing in the commit's tree."""
    tree = run_git(workspace.root, "rev-parse", f"{commit}^{{tree}}").strip()
    return _write_tree(workspace, expansion, pointer, commit) == tree


def _write_tree(workspace: Workspace, expansion: str, pointer: Path, base: str = "HEAD") -> str:
    """The tree of commit `base` with this publication added."""
    root = workspace.root
    with tempfile.TemporaryDirectory(prefix="growset-") as folder:
        index = {"GIT_INDEX_FILE": f"{folder}/index"}
        run_git(root, "read-tree", base, environment=index)
        # DVC writes the .gitignore beside the pointer. (A rule for published/ in the root's .gitignore would make DVC
        # skip the whole folder, pointers included.)
        paths = (pointer, pointer.with_name(".gitignore"), workspace.recipe_path(expansion))
        run_git(root, "add", "--", *map(str, paths), environment=index)
        _add_entries(root, base, LOCK, "stages", set(stage_addresses(expansion)), index)
        _add_entries(root, base, PARAMS, "source_versions", {expansion}, index)
        return run_git(root, "write-tree", environment=index).strip()


def _add_entries(root: Path, base: str, name: str, section: str, keys: set[str], index: dict[str, str]) -> None:
    """Put only `keys` of a YAML file's section into the index, on top of the committed file."""
    yaml = YAML()
    current = yaml.load((root / name).read_text(encoding="utf-8"))
    known = bool(run_git(root, "ls-tree", "--name-only", base, "--", name).strip())
    committed = yaml.load(run_git(root, "show", f"{base}:./{name}")) if known else {**current, section: {}}
    entries = {key: value for key, value in current[section].items() if key in keys}
    section_committed = committed.setdefault(section, {})
    if known and all(key in section_committed and section_committed[key] == entries[key] for key in entries):
        return  # rewriting the file would change its layout
    section_committed.update(entries)
    buffer = io.StringIO()
    yaml.dump(committed, buffer)
    blob = run_git(root, "hash-object", "-w", "--stdin", text=buffer.getvalue()).strip()
    prefix = run_git(root, "rev-parse", "--show-prefix").strip()
    run_git(root, "update-index", "--add", "--cacheinfo", f"100644,{blob},{prefix}{name}", environment=index)


def _last_version(root: Path, expansion: str) -> int:
    """N of the newest tag <expansion>/vN, or 0 without one."""
    return next((int(tag.rpartition("/v")[2]) for tag in _list_tags(root, expansion)), 0)


def _list_tags(root: Path, expansion: str) -> list[str]:
    """The tags <expansion>/vN, newest first."""
    tags = run_git(root, "tag", "--list", f"{expansion}/v*").split()
    found = (re.fullmatch(rf"{re.escape(expansion)}/v(\d+)", tag) for tag in tags)
    return sorted((match[0] for match in found if match), key=lambda tag: -int(tag.rpartition("/v")[2]))
