"""A workspace inside a project that exists already: what may be added to its files, and what must stay as it is.

Texts are merged so that every line of the user's stays; a merge that would change the meaning of one is refused. The
module knows the names of the project's files, and not what Growset writes into them.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap

from ops.errors import UserError
from ops.files.storage import write_bytes
from ops.settings.reading import parse_yaml

LINES = (".gitignore", ".dvcignore")  # lists of patterns: missing lines are added
PIPELINE, KEYS = "dvc.yaml", "params.yaml"  # entries of sections, or top-level keys, are added
KEPT = ("README.md",)  # the project's own stays


def find_repository(folder: Path) -> Path | None:
    """The top of the git or DVC repository in which a folder lies or would lie; None if there is none."""
    place = folder.resolve()
    return next((top for top in (place, *place.parents) if (top / ".git").exists() or (top / ".dvc").is_dir()), None)


def merge(name: str, old: bytes, new: bytes) -> bytes:
    """The content of the project's file `name` with what a workspace needs. UserError if it cannot have both."""
    if name in KEPT or old == new:
        return old
    if name not in (*LINES, PIPELINE, KEYS):
        raise UserError(f"{name} exists already, and a workspace needs its own; rename it, or choose an empty folder")
    try:
        text = old.decode()
    except UnicodeDecodeError:
        raise UserError(f"{name} is not UTF-8 text; Growset adds to it, and cannot") from None
    if name in LINES:
        return _add_lines(text, new.decode()).encode()
    return (_add_pipeline(text, new.decode()) if name == PIPELINE else _add_keys(text, new.decode(), name)).encode()


@contextmanager
def undone_if_it_fails(root: Path, names: Iterable[str]) -> Iterator[None]:
    """Bring the files `names` below `root`, .git and .dvc back to their present state if the block raises.

    Only what did not exist before is deleted.
    """
    paths = [root / name for name in names]
    before = {path: path.read_bytes() if path.exists() else None for path in paths}
    folders = {folder for path in paths for folder in path.parents if folder.is_relative_to(root)}
    made = [folder for folder in folders if not folder.exists()]
    made += [root / name for name in (".git", ".dvc") if not (root / name).exists()]
    try:
        yield
    except BaseException:
        for path, content in before.items():
            if content is not None:
                write_bytes(path, content)
            else:
                path.unlink(missing_ok=True)
        for folder in made:
            shutil.rmtree(folder, ignore_errors=True)
        raise


def _add_lines(old: str, new: str) -> str:
    present = {line.strip() for line in old.splitlines()}
    missing = [line for line in new.splitlines() if line.strip() and line.strip() not in present]
    return _end_line(old) + "".join(f"{line}\n" for line in missing)


def _add_keys(old: str, new: str, name: str) -> str:
    """Both texts, one after the other, as one YAML mapping."""
    mine, added = _read_mapping(old, name), _read_mapping(new, name)
    if clash := sorted(mine.keys() & added.keys()):
        raise UserError(f"{name} has the key {clash[0]} already, which a workspace needs for itself; rename it")
    text = f"{_end_line(old)}\n{new}" if old.strip() else new
    return _require(text, {**mine, **added}, name)


def _add_pipeline(old: str, new: str) -> str:
    """The sections of `new` in `old`: their entries come first in a section that is there, at its indentation."""
    mine, added = _read_mapping(old, PIPELINE), _read_mapping(new, PIPELINE)
    if mine.keys() <= {"stages"} and not mine.get("stages"):
        return new if mine else _end_line(old) + new
    both = {key: _join(key, mine.get(key), entries) for key, entries in added.items()}
    parts = re.split(r"^(\w+):\n", new, flags=re.MULTILINE)  # before the first key, then keys and their blocks
    blocks = dict(zip(parts[1::2], parts[2::2], strict=True))
    blocks["stages"] = parts[0] + blocks["stages"]
    place, lines = YAML().load(old), _end_line(old).splitlines(keepends=True)
    for key in sorted(mine.keys() & added.keys(), key=lambda key: place.lc.key(key)[0], reverse=True):
        start = place.lc.key(key)[0] + 1
        lines[start:start] = _move(blocks.pop(key), place[key])
    text = "".join(lines) + "".join(f"{key}:\n{block}" for key, block in blocks.items())
    return _require(text, {**mine, **both}, PIPELINE)


def _join(key: str, mine: Any, added: Any) -> Any:
    """The entries of both; UserError if both have one name, or if the user's section is of another kind."""
    if not mine:
        return added
    if isinstance(mine, list) and isinstance(added, list):
        return [*added, *mine]
    entries = {name: value for entry in added for name, value in entry.items()} if key == "plots" else added
    if not isinstance(mine, dict) or not isinstance(entries, dict):
        raise UserError(f"{PIPELINE} has an entry '{key}' to which Growset cannot add its own; write it as a list")
    if clash := sorted(mine.keys() & entries.keys()):
        what = "stage" if key == "stages" else f"key of {key}:"
        raise UserError(f"{PIPELINE} has a {what} {clash[0]} already, which is the name of one of Growset's; rename it")
    return {**entries, **mine}


def _move(block: str, section: Any) -> list[str]:
    """The lines of a block, moved to where the section's entries begin; entries of a list become keys of a mapping."""
    if not section:
        return block.splitlines(keepends=True)
    if isinstance(section, CommentedMap):
        column = section.lc.key(next(iter(section)))[1]
        entries = [re.sub(r"^(- |  )", "", line) for line in block.splitlines(keepends=True)]
    else:
        column, entries = section.lc.col, block.splitlines(keepends=True)
    return [f"{' ' * column}{line}" for line in entries]


def _read_mapping(text: str, name: str) -> dict[str, Any]:
    content = parse_yaml(text, name) or {}
    if not isinstance(content, dict):
        raise UserError(f"{name} holds {type(content).__name__}, not keys and values; Growset cannot add its own")
    return content


def _require(text: str, content: dict[str, Any], name: str) -> str:
    """`text`, if it is YAML with this content; a file in flow style, for example, cannot be extended by lines."""
    try:
        if parse_yaml(text, name) == content:
            return text
    except UserError:
        pass
    raise UserError(f"{name} is written in a style that Growset cannot add to; write its keys on lines of their own")


def _end_line(text: str) -> str:
    return text if not text or text.endswith("\n") else f"{text}\n"
