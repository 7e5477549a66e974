"""Bring dvc.yaml and params.yaml of a workspace that an older Growset made up to date with this one.

Stages of the chain, their inputs and versions, and the figures that DVC shows are added as a new workspace has them.
What the user wrote stays: other stages, comments, keys. Stages of ours have only ever gained entries, so one that has
something else was changed by hand, and is left to its owner. Both files are computed before either is written.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml.comments import CommentedMap, CommentedSeq

from ops.errors import UserError
from ops.files.shipped import shipped
from ops.files.storage import replace_file
from ops.recipe.stages import STAGES
from ops.scaffold.adoption import undone_if_it_fails
from ops.scaffold.missing import (
    Addition,
    Differs,
    add_lines,
    find_missing,
    find_missing_entries,
    holds,
    read_places,
    render,
)
from ops.scaffold.texts import render_parameters
from ops.settings.reading import parse_yaml, read_text, shorten
from ops.workspaces.versions import read_shipped_versions, require_no_newer
from ops.workspaces.workspace import PARAMS, PIPELINE, Workspace

NEW_WORKSPACE = "growset init FOLDER --example writes one"
FREE = ("desc", "meta")  # keys of a stage that change nothing
VERSIONS = "stage_versions"
UNWRITTEN = "nothing is written"
OURS = {  # what an entry of Growset's looks like, by the key that holds it
    "deps": r"data/\$\{item\.expansion\}/\w+",
    "recipes/${item.expansion}.yaml": r"\w+",
    PARAMS: r"(stage_versions\.|source_versions\.)\S+",
}


@dataclass(frozen=True)
class Upgrade:
    """A file as it is and as it will be; "" where there is none. told: what is added, a line each."""

    path: Path
    old: str
    new: str
    told: tuple[str, ...]

    @property
    def diff(self) -> str:
        """As `diff -u` shows it."""
        before, after = (text.splitlines(keepends=True) for text in (self.old, self.new))
        return "".join(difflib.unified_diff(before, after, self.path.name, self.path.name))


def plan_upgrade(workspace: Workspace) -> list[Upgrade]:
    """The files that lack something; none where nothing is to do. UserError for a file that cannot be understood."""
    both = (_plan_parameters(workspace), _plan_pipeline(workspace.root / PIPELINE))
    return [each for each in both if each.new != each.old]


def write_upgrade(workspace: Workspace, upgrades: Sequence[Upgrade]) -> None:
    """Write all files, or none. UserError, with the files as they were, if DVC cannot use the stages."""
    from ops.history.dvc_repository import check_pipeline  # loads DVC, which takes a second

    with undone_if_it_fails(workspace.root, [each.path.name for each in upgrades]):
        with ExitStack() as stack:
            for each in upgrades:
                stack.enter_context(replace_file(each.path)).write_bytes(each.new.encode())
        if (workspace.root / ".dvc").is_dir():
            check_pipeline(workspace.root)


def _plan_pipeline(path: Path) -> Upgrade:
    text = (shipped() / PIPELINE).read_text(encoding="utf-8")
    if not path.exists():
        return Upgrade(path, "", text, (f"{path.name}: all stages",))
    wanted, old = parse_yaml(text, PIPELINE), _read(path)
    additions = _list_pipeline(path, old, wanted)
    new = add_lines(old, additions)
    if new != old and not (holds(_parse(new), _parse(old)) and _is_whole(new, wanted)):
        raise _refuse_style(path, old, additions)
    return Upgrade(path, old, new, tuple(f"{path.name}: adds {each.told}" for each in additions))


def _list_pipeline(path: Path, text: str, wanted: Mapping[str, Any]) -> list[Addition]:
    """What a dvc.yaml lacks. UserError where one of Growset's stages is not as an older Growset wrote it."""
    found = _require_mapping(path, text)
    stages, lines = found.get("stages"), text.splitlines()
    if not isinstance(stages, CommentedMap) or not stages:
        raise UserError(
            f"{path} has no stages, so it is no file of Growset's; {UNWRITTEN}: move it away, then: growset upgrade"
        )
    try:
        additions = list[Addition]()
        for name in wanted["stages"]:  # first: an entry at the end of a stage comes before the stage that follows
            if name in stages:
                additions += _list_stage(stages[name], wanted["stages"][name], lines, ("stages", name))
        additions += find_missing(stages, wanted["stages"], lines, ("stages",), whole=False)
        figures = {section: entries for section, entries in wanted.items() if section != "stages"}
        for section in (name for name in figures if name in found):
            additions += _list_figures(found[section], section, figures[section], lines)
    except Differs as error:
        raise UserError(f"{path}: {_tell(error)}") from None
    lacking = {section: entries for section, entries in figures.items() if section not in found}
    additions += [
        Addition(len(lines), render({section: entries}, 0), (section,)) for section, entries in lacking.items()
    ]
    return sorted(additions, key=lambda each: each.before)


def _tell(error: Differs) -> str:
    """What a newer Growset has added or was changed by hand, and what to do."""
    stage = error.way[0] == "stages"
    if stage and _is_newer(error):
        return (
            f"the stage {error.way[1]} has {shorten(error.found)} in {'.'.join(error.way[2:])}, which this Growset does"
            f" not know, so a newer Growset made this workspace; {UNWRITTEN}: update Growset, or delete it there if you"
            " added it"
        )
    where, rest = (f"the stage {error.way[1]}", error.way[2:]) if stage else (error.way[0], error.way[1:])
    what = ": ".join([*([".".join(rest)] if rest else []), shorten(_simplify(error.found))])
    return (
        f"{where} was changed by hand ({what}), so it cannot be brought up to date; {UNWRITTEN}: delete it there or put"
        f" it back as a new workspace has it ({NEW_WORKSPACE}), then: growset upgrade"
    )


def _is_newer(error: Differs) -> bool:
    """Whether a stage has an entry as Growset writes them, which is none of this one's."""
    pattern = next((OURS[part] for part in reversed(error.way) if part in OURS), None)
    return pattern is not None and isinstance(error.found, str) and re.fullmatch(pattern, error.found) is not None


def _is_whole(text: str, wanted: Mapping[str, Any]) -> bool:
    """Whether nothing is missing in a dvc.yaml."""
    try:
        return not _list_pipeline(Path(PIPELINE), text, wanted)
    except UserError:
        return False


def _list_stage(found: Any, wanted: Mapping[str, Any], lines: Sequence[str], way: tuple[str, str]) -> list[Addition]:
    if not isinstance(found, CommentedMap) or not found:
        raise Differs(way, found)
    return find_missing(found, wanted, lines, way, free=FREE)


def _list_figures(found: Any, section: str, wanted: list[Any], lines: Sequence[str]) -> list[Addition]:
    """What the section `metrics` or `plots` lacks. An entry that is there may be drawn as its owner likes it."""
    if isinstance(found, CommentedSeq) and found:
        return find_missing_entries(found, wanted, lines, (section,), whole=False)
    if isinstance(found, CommentedMap) and found and section == "plots":
        entries = {name: value for entry in wanted for name, value in entry.items()}
        return find_missing(found, entries, lines, (section,), whole=False)
    raise Differs((section,), found)


def _plan_parameters(workspace: Workspace) -> Upgrade:
    path = workspace.root / PARAMS
    old, wanted = _read(path), read_shipped_versions()
    found, additions, raised = _require_mapping(path, old), list[Addition](), dict[str, int]()
    texts = old.splitlines()
    paragraphs = render_parameters([]).split("\n\n")
    for key, paragraph in ((VERSIONS, paragraphs[-2]), ("source_versions", paragraphs[-1])):
        if key not in found:
            additions.append(Addition(len(texts), ("", *paragraph.strip().splitlines()), (key,)))
    if isinstance(versions := found.get(VERSIONS), CommentedMap) and versions:
        additions = find_missing(versions, wanted, texts, (VERSIONS,), whole=False) + additions
        known = {stage: workspace.stage_version(stage) for stage in STAGES if stage in versions}
        require_no_newer(workspace, known)
        raised = {stage: wanted[stage] for stage, version in known.items() if version < wanted[stage]}
    elif VERSIONS in found and versions is None:
        additions = find_missing(found, {VERSIONS: wanted}, texts, free=list(found)) + additions
    elif VERSIONS in found:
        raise UserError(f"'{VERSIONS}' in {path} must hold keys and values; got {shorten(_simplify(versions))}")
    lines = old.splitlines(keepends=True)
    for stage, version in raised.items():
        row, column = versions.lc.value(stage)
        lines[row] = lines[row][:column] + re.sub(r"^\d+", str(version), lines[row][column:])
    new = add_lines("".join(lines), additions)
    expected = {"source_versions": {}, **_parse(old)}
    expected[VERSIONS] = {**wanted, **(expected.get(VERSIONS) or {}), **raised}
    if _parse(new) != expected:
        raise _refuse_style(path, old, additions)
    told = [f"{path.name}: adds {each.told}" for each in additions]
    told += [f"{path.name}: raises {VERSIONS}.{stage} from {versions[stage]} to {raised[stage]}" for stage in raised]
    return Upgrade(path, old, new, tuple(told))


def _parse(text: str) -> Any:
    """The content of a YAML text; None where the additions made it none."""
    try:
        return parse_yaml(text, "")
    except UserError:
        return None


def _read(path: Path) -> str:
    read_text(path)  # says what is wrong with the file; its lines end as they do
    return path.read_bytes().decode()


def _require_mapping(path: Path, text: str) -> CommentedMap:
    content = parse_yaml(text, str(path))
    if not isinstance(content, dict) or not content:
        raise UserError(f"{path} must hold keys and values; it holds {type(content).__name__}; {UNWRITTEN}")
    return read_places(text)


def _refuse_style(path: Path, text: str, additions: Sequence[Addition]) -> UserError:
    """Names the line after which the first addition fails by itself, if one does."""
    lines = (each.before for each in additions if not holds(_parse(add_lines(text, [each])), _parse(text)))
    where = f" at line {line}" if (line := next(lines, 0)) else ""
    return UserError(
        f"{path} is written in a style that Growset cannot add to{where}, such as keys in braces; {UNWRITTEN}: write"
        " its keys on lines of their own, then: growset upgrade"
    )


def _simplify(value: Any) -> Any:
    """A value of a file as plain Python, for messages."""
    if isinstance(value, Mapping):
        return {key: _simplify(each) for key, each in value.items()}
    return [_simplify(each) for each in value] if isinstance(value, list) else value
