"""What a YAML file lacks of another one, added to its text line by line, so that comments and everything else stay.

A section is read as keys, a list as entries; an entry with one key, such as `- figures/arms: {…}`, is known by that
key. Where both texts have a key or an entry, what is in it is compared in turn. Lines below a key or an entry that are
indented deeper belong to it, comments and the text of a block such as `>-` too. The module does not know what the files
mean.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq

Way = tuple[str, ...]  # the keys that lead to a place in a file


class Differs(Exception):
    """A value at `way` that is not as it is wanted."""

    def __init__(self, way: Way, found: Any) -> None:
        super().__init__(".".join(way))
        self.way, self.found = way, found


@dataclass(frozen=True)
class Addition:
    """Lines that belong before line number `before` of the text, counted from 0.

    way: to what they hold; is_entry: whether its last part is an entry of a list.
    """

    before: int
    lines: tuple[str, ...]
    way: Way
    is_entry: bool = False

    @property
    def told(self) -> str:
        *parts, last = self.way
        return f"{'.'.join(parts)}: {last}" if self.is_entry else ".".join(self.way)


def read_places(text: str) -> Any:
    """The content of a YAML text, whose sections and lists know their lines."""
    return YAML().load(text)


def add_lines(text: str, additions: Sequence[Addition]) -> str:
    """The text with the additions; those before the same line come in their order."""
    ending = "\r\n" if "\r\n" in text else "\n"
    lines = text.splitlines(keepends=True)
    if lines and not lines[-1].endswith("\n"):
        lines[-1] += ending
    for each in reversed(sorted(additions, key=lambda each: each.before)):
        lines[each.before : each.before] = [f"{line}{ending}" for line in each.lines]
    return "".join(lines)


def find_missing(
    found: CommentedMap,
    wanted: Mapping[str, Any],
    lines: Sequence[str],
    way: Way = (),
    *,
    whole: bool = True,
    free: Sequence[str] = (),
) -> list[Addition]:
    """What a section, not an empty one, lacks of the wanted one, in the order in which that has it.

    lines: of the whole text.
    whole: Differs where it has something else than is wanted, but for the keys that are `free`. Otherwise only whole
    keys are added, and what both have may differ.
    """
    if whole and (others := [key for key in found if key not in wanted and key not in free]):
        raise Differs((*way, str(others[0])), found[others[0]])
    before, column = found.lc.key(next(iter(found)))
    additions = list[Addition]()
    for key, value in wanted.items():
        if key not in found:
            additions.append(Addition(before, render({key: value}, column), (*way, key)))
            continue
        if whole:
            additions += _compare(found[key], value, lines, (*way, key), found.lc.key(key))
        before = _find_next(found[key], lines, *found.lc.key(key))
    return additions


def find_missing_entries(
    found: CommentedSeq, wanted: Sequence[Any], lines: Sequence[str], way: Way, *, whole: bool = True
) -> list[Addition]:
    """As `find_missing`, of a list that is not empty."""
    places = {_name(entry): number for number, entry in enumerate(found)}
    names = [_name(entry) for entry in wanted]
    if whole and (others := [name for name in places if name not in names]):
        raise Differs(way, found[places[others[0]]])
    additions, before = list[Addition](), found.lc.item(0)[0]
    for name, entry in zip(names, wanted, strict=True):
        if name not in places:
            additions.append(Addition(before, render([entry], found.lc.col), (*way, name), True))
            continue
        number = places[name]
        line = found.lc.item(number)[0]
        if whole and isinstance(entry, Mapping):
            if not isinstance(found[number], CommentedMap):
                raise Differs(way, found[number])
            additions += find_missing(found[number], entry, lines, way)
        before = _find_next(found[number], lines, line, found.lc.col)
    return additions


def holds(new: Any, old: Any) -> bool:
    """Whether plain content has all that another one has; None holds nothing."""
    if isinstance(old, dict):
        return isinstance(new, dict) and all(key in new and holds(new[key], value) for key, value in old.items())
    if isinstance(old, list):
        return isinstance(new, list) and all(any(holds(each, entry) for each in new) for entry in old)
    return old is None or bool(new == old)


def render(content: Any, column: int) -> tuple[str, ...]:
    """The lines of a content in block style, from this column."""
    yaml, buffer = YAML(), io.StringIO()
    yaml.default_flow_style = False
    yaml.width = 120
    yaml.dump(content, buffer)
    return tuple(f"{' ' * column}{line}" for line in buffer.getvalue().splitlines())


def _compare(found: Any, wanted: Any, lines: Sequence[str], way: Way, place: tuple[int, int]) -> list[Addition]:
    """What the value of a key at `place` (line, column) lacks; a section or list that is empty lacks all."""
    if not isinstance(wanted, Mapping | list):
        if found != wanted:
            raise Differs(way, found)
        return []
    if found is None:
        line, column = place
        return [Addition(line + 1, render(wanted, column + 2 * isinstance(wanted, Mapping)), way)]
    if isinstance(wanted, list):
        if not isinstance(found, CommentedSeq) or not found:
            raise Differs(way, found)
        return find_missing_entries(found, wanted, lines, way)
    if not isinstance(found, CommentedMap) or not found:
        raise Differs(way, found)
    return find_missing(found, wanted, lines, way)


def _name(entry: Any) -> str:
    return str(next(iter(entry))) if isinstance(entry, Mapping) and len(entry) == 1 else str(entry)


def _find_next(value: Any, lines: Sequence[str], line: int, column: int) -> int:
    """The line after a value whose key or dash is at this place: after all that is indented deeper."""
    end = _find_end(value, line) + 1
    for number in range(end, len(lines)):
        if lines[number].strip():
            if len(lines[number]) - len(lines[number].lstrip()) <= column:
                break
            end = number + 1
    return end


def _find_end(value: Any, line: int) -> int:
    """The line on which the last part of a value begins, which begins on this one or after it."""
    if isinstance(value, CommentedMap):
        return max([line, *(_find_end(each, value.lc.value(key)[0]) for key, each in value.items())])
    if isinstance(value, CommentedSeq):
        return max([line, *(_find_end(each, value.lc.item(number)[0]) for number, each in enumerate(value))])
    return line
