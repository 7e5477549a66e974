"""Read a recipe and explain what is wrong with it in one sentence (what, where, what is allowed)."""

from __future__ import annotations

import difflib
import re
from pathlib import Path
from reprlib import Repr
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from ops.errors import UserError
from ops.recipe.generator import KINDS
from ops.recipe.schema import Arm, Recipe

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


def load_recipe(path: Path) -> Recipe:
    """A validated recipe; UserError naming the key, the file and, for an unknown key, the nearest valid one."""
    content = read_yaml(path)
    if not isinstance(content, dict):
        raise UserError(f"{path} must hold recipe keys such as 'source:'; it holds {type(content).__name__}")
    return parse_recipe(content, path)


def parse_recipe(content: dict[str, Any], path: Path) -> Recipe:
    """As `load_recipe`, from the YAML's content; `path` is for the messages."""
    try:
        return Recipe.model_validate(content)
    except ValidationError as error:
        raise UserError(explain(error, path)) from None


def explain(error: ValidationError, path: Path, model: type[BaseModel] = Recipe) -> str:
    """The first problem of a validation error of `model` as one sentence."""
    problems = error.errors(include_url=False)
    # An unknown key explains a missing one (a typo), so it goes first.
    problem = next((p for p in problems if p["type"] == "extra_forbidden"), problems[0])
    place = [part for part in problem["loc"] if isinstance(part, str)]
    tagged = model is Recipe and len(place) > 1 and place[0] == "generator" and place[1] in KINDS
    kind = place.pop(1) if tagged else None  # pydantic names the member of the union, which is no key
    key = ".".join(place)
    if problem["type"] == "extra_forbidden":
        valid = sorted(_fields_at(place[:-1], model) if kind is None else KINDS[kind].model_fields)
        near = difflib.get_close_matches(place[-1], valid, n=1)
        hint = f"did you mean '{near[0]}'?" if near else f"valid here: {', '.join(valid)}"
        return f"unknown key '{key}' in {path}; {hint}"
    if problem["type"] == "missing":
        is_section = model is Recipe and len(place) == 1 and key not in ("source", "seed", "on_new_images")
        hint = f" (an empty section is written '{key}: {{}}')" if is_section else ""
        return f"key '{key}' is missing in {path}; add it{hint}"
    message = problem["msg"].removeprefix("Value error, ")
    got = problem.get("input")
    shown = "" if isinstance(got, (dict, BaseModel)) else f"; got {shorten(got)}"
    if place and place[-1] == "[key]":
        return f"arm name '{place[-2]}' in {path}: letters, digits and _ + . - are allowed, a letter or digit first"
    if not place:
        return f"{path}: {message[0].lower()}{message[1:]}{shown}"
    return f"'{key}' in {path}: {message[0].lower()}{message[1:]}{shown}"


def _fields_at(place: list[str], model: type[BaseModel]) -> set[str]:
    """Valid keys of the section at `place` of a model."""
    for part in place:
        if part not in model.model_fields:
            return set(Arm.model_fields)  # below baselines: and expanded: the keys are the user's arm names
        annotation = model.model_fields[part].annotation
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            model = annotation
        elif Arm in get_args(annotation):
            model = Arm if part == place[-1] else model
        else:  # `section | None`
            model = next((a for a in get_args(annotation) if isinstance(a, type) and issubclass(a, BaseModel)), model)
    return set(model.model_fields)
