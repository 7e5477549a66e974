"""The git commit of a publication: exactly its pointer, its recipe and its own entries of dvc.lock and params.yaml.

It is put together outside of the user's index and becomes visible in two steps, each of one git process: first the
tag, then branch and index together. A kill between them leaves a tag that the next call takes up.
"""

from __future__ import annotations

import io
import re
import tempfile
from pathlib import Path

from ruamel.yaml import YAML

from ops.errors import UserError
from ops.git import run_git
from ops.versioning import LOCK, stage_addresses
from ops.workspace import PARAMS, Workspace


def commit_publication(workspace: Workspace, expansion: str, pointer: Path) -> str | None:
    """Commit and tag as <expansion>/vN; the tag, or None when nothing changed since the last commit.

    Entries of other expansions stay uncommitted, because what they point to may not be pushed. UserError when
    the user has staged changes.
    """
    root = workspace.root
    if staged := run_git(root, "diff", "--cached", "--name-only").split():
        raise UserError(f"git has staged changes ({staged[0]}); commit or unstage them before publishing")
    head, tree = (run_git(root, "rev-parse", name).strip() for name in ("HEAD", "HEAD^{tree}"))
    wanted = _write_tree(workspace, expansion, pointer)
    if wanted == tree:
        return None
    version = _last_version(root, expansion)
    tag = f"{expansion}/v{version}"
    if version and run_git(root, "log", "-1", "--format=%T %P", tag).split() == [wanted, head]:
        commit = run_git(root, "rev-parse", f"{tag}^{{commit}}").strip()  # a kill came between the two steps
    else:
        tag = f"{expansion}/v{version + 1}"
        signed = run_git(root, "config", "--type=bool", "--default=false", "commit.gpgsign").strip() == "true"
        options = ["-S"] if signed else []
        commit = run_git(root, "commit-tree", *options, wanted, "-p", head, "-m", f"Publish {tag}").strip()
        run_git(root, "update-ref", f"refs/tags/{tag}", commit, "", shielded=True)
    run_git(root, "reset", "--quiet", commit, environment={"GIT_REFLOG_ACTION": f"publish {tag}"}, shielded=True)
    return tag


def is_committed(workspace: Workspace, expansion: str, pointer: Path) -> bool:
    """Whether the last commit holds all that `commit_publication` would put into one."""
    return _write_tree(workspace, expansion, pointer) == run_git(workspace.root, "rev-parse", "HEAD^{tree}").strip()


def _write_tree(workspace: Workspace, expansion: str, pointer: Path) -> str:
    """The last commit's tree with this publication in it."""
    root = workspace.root
    with tempfile.TemporaryDirectory(prefix="growset-") as folder:
        index = {"GIT_INDEX_FILE": f"{folder}/index"}
        run_git(root, "read-tree", "HEAD", environment=index)
        # DVC writes the .gitignore beside the pointer. (A rule for published/ in the root's .gitignore would make
        # DVC skip the whole folder, pointers and all.)
        paths = (pointer, pointer.with_name(".gitignore"), workspace.recipe_path(expansion))
        run_git(root, "add", "--", *map(str, paths), environment=index)
        _add_entries(root, LOCK, "stages", set(stage_addresses(expansion)), index)
        _add_entries(root, PARAMS, "source_versions", {expansion}, index)
        return run_git(root, "write-tree", environment=index).strip()


def _add_entries(root: Path, name: str, section: str, keys: set[str], index: dict[str, str]) -> None:
    """Put only `keys` of a YAML file's section into the index, on top of the committed file."""
    yaml = YAML()
    current = yaml.load((root / name).read_text(encoding="utf-8"))
    known = bool(run_git(root, "ls-tree", "--name-only", "HEAD", "--", name).strip())
    committed = yaml.load(run_git(root, "show", f"HEAD:./{name}")) if known else {**current, section: {}}
    entries = {key: value for key, value in current[section].items() if key in keys}
    section_committed = committed.setdefault(section, {})
    if known and all(key in section_committed and section_committed[key] == entries[key] for key in entries):
        return  # writing it anew would change its layout
    section_committed.update(entries)
    buffer = io.StringIO()
    yaml.dump(committed, buffer)
    blob = run_git(root, "hash-object", "-w", "--stdin", text=buffer.getvalue()).strip()
    prefix = run_git(root, "rev-parse", "--show-prefix").strip()
    run_git(root, "update-index", "--add", "--cacheinfo", f"100644,{blob},{prefix}{name}", environment=index)


def _last_version(root: Path, expansion: str) -> int:
    """N of the newest tag <expansion>/vN, 0 if there is none."""
    tags = run_git(root, "tag", "--list", f"{expansion}/v*").split()
    found = (re.fullmatch(rf"{re.escape(expansion)}/v(\d+)", tag) for tag in tags)
    return max((int(match[1]) for match in found if match), default=0)
