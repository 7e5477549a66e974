"""Read YAML that a user wrote: bounded in size, plain values only; a mistake is one sentence with line and column."""

from __future__ import annotations

import re
from pathlib import Path
from reprlib import Repr
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from ops.errors import UserError

LARGEST = 2**18  # bytes of a YAML file: some seconds of reading
_NO_TEXT = re.compile("[\0\ud800-\udfff]")
_SHORT, _SHOWN = Repr(), 200  # characters
_SHORT.maxstring = _SHORT.maxother = 80


def read_yaml(path: Path) -> Any:
    """The content of a YAML file; UserError with line and column when it is not YAML.

    Its texts hold no character that cannot be written to a file or be part of a path.
    """
    if not path.is_file():  # reading a pipe would block
        raise UserError(f"{path} {'is not a file' if path.exists() else 'does not exist'}")
    if path.stat().st_size > LARGEST:
        raise UserError(f"{path} has {path.stat().st_size:,} bytes; allowed: {LARGEST:,}")
    try:
        content = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    except MarkedYAMLError as error:
        mark = error.problem_mark
        where = f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise UserError(f"{path} is not valid YAML{where}: {error.problem}") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not UTF-8 text: {error.reason} at byte {error.start}") from None
    except RecursionError:
        raise UserError(f"{path} is nested too deeply") from None
    except (YAMLError, ValueError) as error:  # a control character, a date that is none
        raise UserError(f"{path} is not valid YAML: {str(error).splitlines()[0]}") from None
    except (ArithmeticError, AttributeError, LookupError, TypeError) as error:  # a tag on a value that is not of it
        raise UserError(f"{path} is not valid YAML: a value is not what its tag says ({error})") from None
    _check_texts(content, path)
    return content


def shorten(value: Any) -> str:
    """A value for a message: YAML's aliases may unfold to gigabytes."""
    shown = _SHORT.repr(value)
    return shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}…"


def _check_texts(content: Any, path: Path) -> None:
    waiting, seen = [content], set()
    while waiting:
        value = waiting.pop()
        if isinstance(value, str) and (not value.isascii() or "\0" in value):
            if wrong := _NO_TEXT.search(value):
                raise UserError(f"{path}: a text holds {wrong[0]!r}, which cannot be written; take it out")
        elif isinstance(value, (dict, list, tuple, set)) and id(value) not in seen:
            seen.add(id(value))
            waiting += value
            if isinstance(value, dict):
                waiting += value.values()
