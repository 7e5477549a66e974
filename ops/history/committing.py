"""Commit a publication to git: its pointer, its recipe, its figures and its own entries of dvc.lock and params.yaml.

The commit lists as active only what is published, so that `dvc pull` in a clone finds everything: DVC fails for an
expansion that has not run, or whose data is not in the remote. The user's own params.yaml keeps its list.

The commit is built outside the user's index and becomes visible at once: one git process moves tag and branch, if both
are still as they were read, and updates the index. The loser of a race leaves no changes.
"""

from __future__ import annotations

import io
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path

from ruamel.yaml import YAML

from ops.errors import EnvironmentFault, UserError
from ops.history.dvc_repository import LOCK, stage_addresses
from ops.history.figures import list_figures
from ops.history.git import run_git, sign_anonymously
from ops.machine.interruption import shielded
from ops.workspaces.locks import one_committer
from ops.workspaces.workspace import ACTIVE, PARAMS, Workspace, like


def commit_publication(workspace: Workspace, expansion: str, pointer: Path, *, for_clones: bool = False) -> str | None:
    """Commit and tag as <expansion>/vN; returns the tag, or None if there is nothing to commit or to tag.

    N is one more than the largest of all tags here, fetched tags included. If the user has committed the publication by
    hand, the commit gets the tag. `for_clones` then adds figures and list of active expansions where they differ, in a
    commit that has no tag if an earlier one holds the publication. Entries of other expansions stay uncommitted,
    because their data may not be pushed. UserError if the user has staged changes, EnvironmentFault if another process
    is committing or has committed meanwhile.
    """
    with one_committer(workspace):
        return _commit(workspace, expansion, pointer, for_clones)


def _commit(workspace: Workspace, expansion: str, pointer: Path, for_clones: bool) -> str | None:
    root = workspace.root
    if (lock := root / run_git(root, "rev-parse", "--git-path", "index.lock").strip()).exists():
        raise EnvironmentFault(
            f"another git process is at work, or was killed and left {lock}; run it again when that file is gone"
        )
    if staged := run_git(root, "diff", "--cached", "--name-only").split():
        raise UserError(f"git has staged changes ({staged[0]}); commit or unstage them before publishing")
    head, tree = (run_git(root, "rev-parse", name).strip() for name in ("HEAD", "HEAD^{tree}"))
    wanted = _write_tree(workspace, expansion, pointer, for_clones=True)
    held = _holds(workspace, "HEAD", expansion, pointer)
    tagged = _find_tag(workspace, expansion, pointer) if held else None
    version = _last_version(root, expansion)
    tag = f"{expansion}/v{version}"
    if wanted == tree or (held and not for_clones):
        if tagged:
            return None
        tag = f"{expansion}/v{version + 1}"  # the user has committed it by hand: only the tag is missing
        run_git(root, "update-ref", "--stdin", text=f"create refs/tags/{tag} {head}\n", shielded=True)
        return tag
    if version and run_git(root, "log", "-1", "--format=%T %P", tag).split() == [wanted, head]:
        # The tagged next commit already exists: a colleague made it from this HEAD, and it is not merged yet.
        _advance(root, head, run_git(root, "rev-parse", f"{tag}^{{commit}}").strip(), tag, tagged=True)
        return tag
    tag = tagged or f"{expansion}/v{version + 1}"
    signed = run_git(root, "config", "--type=bool", "--default=false", "commit.gpgsign").strip() == "true"
    options = ["-S"] if signed else []
    message = f"Update the figures and active expansions of {tag}" if tagged else f"Publish {tag}"
    commit = run_git(root, *sign_anonymously(root), "commit-tree", *options, wanted, "-p", head, "-m", message).strip()
    _advance(root, head, commit, None if tagged else tag)
    return tag


@shielded()
def _advance(root: Path, old: str, new: str, tag: str | None, *, tagged: bool = False) -> None:
    """Move HEAD's branch and the index from commit `old` to `new`, and create the tag, if any, unless it is there.

    Branch and tag are one transaction, which git refuses if either has changed. The index follows in the same shielded
    process, so that killing Growset cannot stop between the two steps.
    """
    reference = f"refs/tags/{tag}"
    tagging = [] if tag is None else [f"verify {reference} {new}" if tagged else f"create {reference} {new}"]
    changes = [*tagging, f"update HEAD {new} {old}"]
    # git runs an alias that starts with `!` as a shell command. So one git process does both steps, in a session of its
    # own (`shielded`). Two calls from here could be killed in between.
    both = 'alias.advance=!git update-ref -m "publish $GROWSET_TAG" --stdin && git reset --quiet'
    try:
        text, environment = "\n".join([*changes, ""]), {"GROWSET_TAG": tag or "what changed"}
        run_git(root, "-c", both, "advance", text=text, environment=environment, shielded=True)
    except EnvironmentFault as error:
        now = run_git(root, "rev-parse", "HEAD").strip()
        if now == new:  # the branch has moved, but another process holds the index: undo the move
            back = [*([] if tagged or tag is None else [f"delete {reference} {new}"]), f"update HEAD {old} {new}"]
            run_git(root, "update-ref", "--stdin", text="\n".join([*back, ""]), shielded=True)
        elif now != old:
            raise EnvironmentFault(
                f"another commit was made in {root} while '{tag or 'it'}' was prepared; run it again to publish on top"
                " of it"
            ) from error
        raise


def is_committed(workspace: Workspace, expansion: str, pointer: Path) -> bool:
    """Whether the last commit already holds this publication, and a tag does too.

    Figures and the list of active expansions do not count: they follow from the data, or from other expansions.
    """
    return _holds(workspace, "HEAD", expansion, pointer) and _find_tag(workspace, expansion, pointer) is not None


def _find_tag(workspace: Workspace, expansion: str, pointer: Path) -> str | None:
    """The newest tagged version that holds this publication; the user may have gone back to an old one."""
    tags = _list_tags(workspace.root, expansion)
    return next((tag for tag in tags if _holds(workspace, tag, expansion, pointer)), None)


def _holds(workspace: Workspace, commit: str, expansion: str, pointer: Path) -> bool:
    """Whether this publication would change nothing in the commit's tree."""
    tree = run_git(workspace.root, "rev-parse", f"{commit}^{{tree}}").strip()
    return _write_tree(workspace, expansion, pointer, commit) == tree


def _write_tree(
    workspace: Workspace, expansion: str, pointer: Path, base: str = "HEAD", *, for_clones: bool = False
) -> str:
    """The tree of commit `base` with this publication added; `for_clones` adds figures and what clones can pull."""
    root = workspace.root
    with tempfile.TemporaryDirectory(prefix="growset-") as folder:
        index = {"GIT_INDEX_FILE": f"{folder}/index"}
        run_git(root, "read-tree", base, environment=index)
        # DVC writes the .gitignore beside the pointer. (A rule for published/ in the root's .gitignore would make DVC
        # skip the whole folder, pointers included.)
        paths = (pointer, pointer.with_name(".gitignore"), workspace.recipe_path(expansion))
        run_git(root, "add", "--", *map(str, paths), environment=index)
        _add_entries(root, base, LOCK, "stages", set(stage_addresses(expansion)), index)
        listed = [*_list_published(root, base), expansion] if for_clones else None
        _add_entries(root, base, PARAMS, "source_versions", {expansion}, index, expansions=listed)
        if for_clones and (figures := [name for name in list_figures(expansion) if (root / name).is_file()]):
            run_git(root, "add", "--force", "--", *figures, environment=index)
        return run_git(root, "write-tree", environment=index).strip()


def _list_published(root: Path, base: str) -> list[str]:
    """The expansions whose pointer and stages are in commit `base`: publishing pushes them before they get there."""
    lock = YAML(typ="safe").load(_show_committed(root, base, LOCK) or "{}")
    recorded = set(lock.get("stages") or {})
    pointers = run_git(root, "ls-tree", "--name-only", base, "--", "published/").split("\n")
    names = [Path(name).stem for name in pointers if name.endswith(".dvc")]
    return [name for name in names if recorded.issuperset(stage_addresses(name))]


def _show_committed(root: Path, base: str, name: str) -> str | None:
    """A file's text in commit `base`; None if it is not there."""
    known = bool(run_git(root, "ls-tree", "--name-only", base, "--", name).strip())
    return run_git(root, "show", f"{base}:./{name}") if known else None


def _add_entries(
    root: Path,
    base: str,
    name: str,
    section: str,
    keys: set[str],
    index: dict[str, str],
    *,
    expansions: Sequence[str] | None = None,
) -> None:
    """Put only `keys` of a YAML file's section into the index, on top of the committed file.

    expansions: those that its list of active ones may keep, of which the last is added where it is missing.
    """
    yaml = YAML()
    current = yaml.load((root / name).read_text(encoding="utf-8"))
    text = _show_committed(root, base, name)
    known = text is not None
    committed = yaml.load(text) if known else {**current, section: {}}
    entries = {key: value for key, value in current[section].items() if key in keys}
    section_committed = committed.setdefault(section, {})
    active = list(committed.get(ACTIVE) or [])
    kept = active if expansions is None else _keep(active, expansions)
    if (
        known
        and kept == active
        and all(key in section_committed and section_committed[key] == entries[key] for key in entries)
    ):
        return  # rewriting the file would change its layout
    section_committed.update(entries)
    if kept != active:
        committed[ACTIVE] = like(committed.get(ACTIVE), kept)
    buffer = io.StringIO()
    yaml.dump(committed, buffer)
    blob = run_git(root, "hash-object", "-w", "--stdin", text=buffer.getvalue()).strip()
    prefix = run_git(root, "rev-parse", "--show-prefix").strip()
    run_git(root, "update-index", "--add", "--cacheinfo", f"100644,{blob},{prefix}{name}", environment=index)


def _keep(active: Sequence[str], expansions: Sequence[str]) -> list[str]:
    kept = [name for name in active if name in expansions]
    return kept if expansions[-1] in kept else [*kept, expansions[-1]]


def _last_version(root: Path, expansion: str) -> int:
    """N of the newest tag <expansion>/vN, or 0 without one."""
    return next((int(tag.rpartition("/v")[2]) for tag in _list_tags(root, expansion)), 0)


def _list_tags(root: Path, expansion: str) -> list[str]:
    """The tags <expansion>/vN, newest first."""
    tags = run_git(root, "tag", "--list", f"{expansion}/v*").split()
    found = (re.fullmatch(rf"{re.escape(expansion)}/v(\d+)", tag) for tag in tags)
    return sorted((match[0] for match in found if match), key=lambda tag: -int(tag.rpartition("/v")[2]))
