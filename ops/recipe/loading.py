"""Read a recipe and explain what is wrong with it in one sentence (what, where, what is allowed)."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from types import NoneType
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from ops.errors import UserError
from ops.recipe.arms import Arm
from ops.recipe.generator import KindSettings
from ops.recipe.kinds import KINDS, PRIORS
from ops.recipe.prior import PoolSettings
from ops.recipe.schema import Recipe
from ops.settings.reading import parse_yaml, read_text, shorten

TRIED = ("constrained-float", "literal['auto']")
MOST_LISTED = 60  # keys that a sentence names
KEPT = 128  # recipes in memory, some tens of kilobytes each: more than race side by side, or a workspace has active
SENTENCES = {  # by pydantic's type of a problem, where its own sentence names a type of Python's
    "dict_type": "keys with values are expected",
    "model_type": "keys with values are expected, or {{}} for their defaults",
    "too_short": "at least {min_length} must be given",
    "tuple_type": "a list is expected",
}
BY_KIND = {"generator": KINDS, "prior": PRIORS}  # sections whose kind decides their other keys


def load_recipe(path: Path) -> Recipe:
    """A validated recipe; UserError naming the key, the file and, for an unknown key, the nearest valid one."""
    return _load(path, read_text(path))


@lru_cache(maxsize=KEPT)
def _load(path: Path, text: str) -> Recipe:
    """The recipe in a text, cached: a run asks for it dozens of times, at tens of milliseconds each."""
    content = parse_yaml(text, str(path))
    if not isinstance(content, dict):
        raise UserError(f"{path} must hold recipe keys such as 'source:'; it holds {type(content).__name__}")
    return parse_recipe(content, path)


def parse_recipe(content: dict[str, Any], path: Path | str) -> Recipe:
    """As `load_recipe`, from the YAML's content; `path` is for the messages."""
    try:
        return Recipe.model_validate(content)
    except ValidationError as error:
        raise UserError(explain(error, path)) from None


def explain(error: ValidationError, path: Path | str, model: type[BaseModel] = Recipe) -> str:
    """The first problem of a validation error of `model` as one sentence."""
    problems = error.errors(include_url=False)
    # An unknown key explains a missing one (a typo), so it goes first.
    problem = next((p for p in problems if p["type"] == "extra_forbidden"), problems[0])
    # Where a value may be of two types, pydantic adds which one it tried, such as `constrained-float`.
    place = [part for part in problem["loc"] if isinstance(part, str) and part not in TRIED]
    kinds = BY_KIND.get(place[0], {}) if model is Recipe and len(place) > 1 else {}
    tagged = len(place) > 1 and place[1] in kinds
    kind = place.pop(1) if tagged else None  # pydantic adds the tag of the union's member, which is not a key
    key = ".".join(place)
    if problem["type"] == "extra_forbidden":
        valid = problem.get("ctx", {}).get("valid")  # given by a section whose keys depend on its values
        valid = valid or sorted(_fields_at(place[:-1], model) if kind is None else list_known(kinds[kind]))
        near = difflib.get_close_matches(place[-1], valid, n=1)
        hint = f"did you mean '{near[0]}'?" if near else f"valid here: {_list_valid(valid)}"
        return f"unknown key '{key}' in {path}; {hint}"
    if problem["type"] == "missing":
        is_section = model is Recipe and len(place) == 1 and key not in ("source", "seed", "on_new_images")
        empty = "null" if is_section and NoneType in get_args(Recipe.model_fields[key].annotation) else "{}"
        hint = f" (an empty section is written '{key}: {empty}')" if is_section else ""
        return f"key '{key}' is missing in {path}; add it{hint}"
    sentence = SENTENCES.get(problem["type"])
    message = (
        problem["msg"].removeprefix("Value error, ") if sentence is None else sentence.format(**problem.get("ctx", {}))
    )
    got = problem.get("input")
    shown = "" if isinstance(got, (dict, BaseModel)) else f"; got {shorten(got)}"
    if place and place[-1] == "[key]":
        name = shorten(place[-2])
        if problem["type"] == "string_too_long":
            return f"arm name {name} in {path}: at most {problem['ctx']['max_length']} characters are allowed"
        return f"arm name {name} in {path}: letters, digits and _ + . - are allowed, a letter or digit first"
    if not place:
        return f"{path}: {message[0].lower()}{message[1:]}{shown}"
    return f"'{key}' in {path}: {message[0].lower()}{message[1:]}{shown}"


def _list_valid(keys: Sequence[str]) -> str:
    """All of them; of very many those without a dot, and how many others there are."""
    if len(keys) <= MOST_LISTED:
        return ", ".join(keys)
    dotted = [key for key in keys if "." in key]
    plain = ", ".join(key for key in keys if "." not in key)
    return f"{plain}, and {len(dotted)} numbers of ingredients such as {dotted[0]}"


def list_known(settings: type[KindSettings]) -> set[str]:
    """The keys of a section by kind that mean something in it."""
    idle = settings.class_keys if issubclass(settings, PoolSettings) else None
    return set(settings.model_fields) - (idle or frozenset())


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
