"""Changes of a recipe from the command line: `--set key=value`, read as strictly as the recipe itself.

A key is dotted (`generator.steps`) and a value is YAML. The same changes can be applied to a recipe's content in
memory, or written into its file; comments of the file are kept. The module does not know which commands do what.
"""

from __future__ import annotations

import copy
import io
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.representer import RoundTripRepresenter

from ops.errors import UserError
from ops.files.storage import write_text
from ops.recipe.arms import INGREDIENTS
from ops.recipe.grid import GridSettings
from ops.recipe.loading import KEPT, load_recipe, parse_recipe
from ops.recipe.schema import Recipe
from ops.settings.reading import parse_yaml, read_text, shorten

Changes = Mapping[str, Any]  # a value by its dotted key
GRID = "classifier.grid"  # its own keys have dots: `pairing.alpha`
_KINDS = {*INGREDIENTS, "network"}  # keys of sections that have several kinds


class _Representer(RoundTripRepresenter):
    """Writes null as `null`, where ruamel writes nothing."""


_Representer.add_representer(
    type(None), lambda representer, _: representer.represent_scalar("tag:yaml.org,2002:null", "null")
)


def parse_changes(texts: Sequence[str]) -> dict[str, Any]:
    """The changes that `key=value` texts name; UserError for another form, invalid YAML or a key given twice."""
    changes: dict[str, Any] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        key = key.strip()
        if not equals or not all(key.split(".")):
            raise UserError(f"--set {text}: expected key=value, such as generator.steps=800")
        if not value.strip():
            raise UserError(f"--set {text}: the value is missing; write {key}=null for none")
        if key in changes:
            raise UserError(f"--set {key} is given twice; give each key once")
        changes[key] = parse_yaml(value, f"--set {text}")
    return changes


def change_recipe(path: Path, changes: Changes) -> tuple[Recipe, list[str]]:
    """The recipe in a file with `changes`, and a line `key: old -> new` for each; the file stays as it is.

    UserError if a key has no place in the recipe, or if the changed recipe is not valid.
    """
    recipe, lines = _change(path, read_text(path), _Given(changes))
    return recipe, list(lines)


class _Given:
    """Changes as a key of a cache: equal if they are written alike, so that 1 and 1.0 are two, and so is their order,
    in which they are applied."""

    def __init__(self, changes: Changes) -> None:
        self.changes = copy.deepcopy(dict(changes))
        self.written = repr(self.changes)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Given) and self.written == other.written

    def __hash__(self) -> int:
        return hash(self.written)


@lru_cache(maxsize=KEPT)
def _change(path: Path, text: str, given: _Given) -> tuple[Recipe, tuple[str, ...]]:
    """As `change_recipe`, from the file's text: a race asks for each of its recipes at every stage."""
    changes, content = given.changes, parse_yaml(text, str(path))
    if not isinstance(content, dict):
        raise UserError(f"{path} must hold recipe keys such as 'source:'; it holds {type(content).__name__}")
    changed, lines = change_content(content, changes, path)
    return parse_recipe(changed, f"{path} with {' '.join(f'--set {key}' for key in changes)}"), tuple(lines)


def change_content(content: Mapping[str, Any], changes: Changes, path: Path) -> tuple[dict[str, Any], list[str]]:
    """A copy of a recipe's content with `changes`, and their lines as in `change_recipe`; `path` is for the messages.

    UserError if a key has no place in the content; nothing else is checked.
    """
    changed = copy.deepcopy(dict(content))
    # Copies, because a change may be of a key within the section that an earlier one has put there.
    lines = [
        f"{key}: {_apply(changed, key, copy.deepcopy(value), path)} -> {_show(value)}" for key, value in changes.items()
    ]
    return changed, lines


def keep_effective(path: Path, changes: Changes) -> dict[str, Any]:
    """Those of `changes` that give a key of the recipe in a file another value than it has."""
    before, after = load_recipe(path), change_recipe(path, changes)[0]
    return {key: value for key, value in changes.items() if _read(before, key) != _read(after, key)}


def _read(recipe: Recipe, key: str) -> Any:
    """The value of a dotted key, None where it has no place."""
    found: Any = recipe
    rest = key
    while rest:
        if isinstance(found, GridSettings):
            return found.axes.get(rest)
        name = _first_name(found, rest) if isinstance(found, Mapping) else rest.partition(".")[0]
        found = found.get(name) if isinstance(found, Mapping) else getattr(found, name, None)
        rest = rest[len(name) + 1 :]
    return found


def write_changes(path: Path, changes: Changes) -> list[str]:
    """Write `changes` into a recipe's file, if its content differs then; returns the lines of `change_recipe`.

    UserError, with the file unchanged, if the changed recipe is not valid.
    """
    wanted, lines = change_recipe(path, changes)

    def apply(content: MutableMapping[str, Any]) -> None:
        for key, value in changes.items():
            _apply(content, key, _in_one_line(value), path)

    text = path.read_text(encoding="utf-8")
    if (edited := _edit(text, apply)) is None:
        return lines
    if parse_recipe(parse_yaml(edited, str(path)), path) != wanted:
        raise UserError(f"{path} cannot be edited by --set; change {', '.join(changes)} in it by hand")
    write_text(path, edited)
    return lines


def edit_recipe(text: str, changes: Changes) -> str:
    """A recipe's text with new values at keys that it has; comments are kept. KeyError for a key that it has not."""

    def apply(content: MutableMapping[str, Any]) -> None:
        for key, value in changes.items():
            *sections, last = key.split(".")
            place = content
            for section in sections:
                place = place[section]
            if last not in place:
                raise KeyError(key)
            place[last] = _in_one_line(value)

    return _edit(text, apply) or text


def _edit(text: str, change: Callable[[MutableMapping[str, Any]], None]) -> str | None:
    """The text after `change` has been made to its content, comments kept; None where the content stays the same."""
    yaml = YAML()
    yaml.preserve_quotes, yaml.width, yaml.Representer = True, 120, _Representer
    content = yaml.load(text)
    before = copy.deepcopy(content)
    change(content)
    if content == before:
        return None
    buffer = io.StringIO()
    yaml.dump(content, buffer)
    return buffer.getvalue()


def _apply(content: MutableMapping[str, Any], key: str, value: Any, path: Path) -> str:
    """Set one dotted key in place; returns the former value as text, or `default` if there was none."""
    place, rest, way = content, key, ""
    while True:
        name = rest if way == GRID else _first_name(place, rest)
        if name == rest:
            break
        way, rest = f"{way}.{name}".lstrip("."), rest[len(name) + 1 :]
        if place.get(name) is None:
            place[name] = {}
        if name in _KINDS and isinstance(place[name], str):  # a bare name stands for a section of that kind
            place[name] = {"kind": place[name]}
        if not isinstance(place[name], MutableMapping):
            raise UserError(f"--set {key}: '{way}' in {path} is {shorten(place[name])}, which has no key '{rest}'")
        place = place[name]
    former = _show(place[name]) if name in place else "default"
    place[name] = value
    return former


def _first_name(place: Mapping[str, Any], rest: str) -> str:
    """The name that `rest` starts with in this section: the longest that exists, because names of arms and of the grid
    may have dots; else the text before the first dot."""
    known = [str(name) for name in place if rest == name or rest.startswith(f"{name}.")]
    return max(known, key=len, default=rest.partition(".")[0])


def _show(value: Any) -> str:
    """A value for people, as YAML writes it where Python's form differs."""
    return (
        {None: "null", True: "true", False: "false"}[value]
        if value is None or value is True or value is False
        else shorten(value)
    )


def _in_one_line(value: Any) -> Any:
    """Lists and sections in the style [a, b] and {a: b}, which fits on the line of the key and its comment."""
    if not isinstance(value, (list, dict)):
        return value
    node = CommentedSeq(value) if isinstance(value, list) else CommentedMap(value)
    node.fa.set_flow_style()
    return node
