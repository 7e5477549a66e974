"""Read YAML that a user wrote: bounded in size, plain values only; a mistake is one sentence with line and column."""

from __future__ import annotations

import copy
import re
from functools import lru_cache
from pathlib import Path
from reprlib import Repr
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from ops.errors import UserError

MAX_BYTES = 2**18  # of a YAML file: it takes some seconds to read
_UNWRITABLE = re.compile("[\0\ud800-\udfff]")
_REPR, _MAX_SHOWN = Repr(), 200  # characters
_REPR.maxstring = _REPR.maxother = 80


def read_yaml(path: Path) -> Any:
    """The content of a YAML file; UserError with line and column when it is not YAML.

    UserError also for a text with a character that cannot be written to a file or be part of a path.
    """
    return parse_yaml(read_text(path), str(path))


def read_text(path: Path) -> str:
    """The text of a YAML file; UserError for one that is missing, too large or not UTF-8."""
    if not path.is_file():  # reading a pipe would block
        raise UserError(f"{path} {'is not a file' if path.exists() else 'does not exist'}")
    if path.stat().st_size > MAX_BYTES:
        raise UserError(f"{path} has {path.stat().st_size:,} bytes; allowed: {MAX_BYTES:,}")
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not UTF-8 text: {error.reason} at byte {error.start}") from None


def parse_yaml(text: str, name: str) -> Any:
    """The content of a YAML text that `name` names in messages; UserError as `read_yaml` raises it."""
    try:
        return copy.deepcopy(_parse(text, name))
    except RecursionError:
        raise UserError(f"{name} is nested too deeply") from None


@lru_cache(maxsize=32)
def _parse(text: str, name: str) -> Any:
    """As `parse_yaml`; to be copied. Reading a recipe takes a hundred times as long as copying it."""
    try:
        content = YAML(typ="safe", pure=True).load(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark
        where = f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise UserError(f"{name} is not valid YAML{where}: {error.problem}") from None
    except (YAMLError, ValueError) as error:  # a control character, an invalid date
        raise UserError(f"{name} is not valid YAML: {str(error).splitlines()[0]}") from None
    except (ArithmeticError, AttributeError, LookupError, TypeError) as error:  # a tag that does not fit its value
        raise UserError(f"{name} is not valid YAML: a value does not fit its tag ({error})") from None
    _check_texts(content, name)
    return content


def shorten(value: Any) -> str:
    """A value for a message, cut to a fixed length because YAML's aliases may expand to gigabytes."""
    shown = _REPR.repr(value)
    return shown if len(shown) <= _MAX_SHOWN else f"{shown[:_MAX_SHOWN]}…"


def _check_texts(content: Any, name: str) -> None:
    waiting, seen = [content], set()
    while waiting:
        value = waiting.pop()
        if isinstance(value, str) and (not value.isascii() or "\0" in value):
            if wrong := _UNWRITABLE.search(value):
                raise UserError(f"{name}: a text contains {wrong[0]!r}, which cannot be written; remove it")
        elif isinstance(value, (dict, list, tuple, set)) and id(value) not in seen:
            seen.add(id(value))
            waiting += value
            if isinstance(value, dict):
                waiting += value.values()
