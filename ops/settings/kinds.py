"""Keys whose value is one of several kinds of section: `{kind: mixup, alpha: 0.2}`, or a kind's bare name.

A registry maps each kind's name to its section. It is read together with the value, so a new kind is one new line
there. A key that belongs to other kinds is refused with the names of those kinds. Keys without `kind` belong to the
default kind, where a key has one: `network: {width: 32}`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import GetCoreSchemaHandler, ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError, core_schema

from ops.settings.section import Section

_NUMBERS: dict[Any, type] = {int: int, float: float}


class Kind(Section):
    """One of several kinds of a section; each narrows `kind` to its own name and adds its own keys."""

    kind: str

    @classmethod
    def numbers(cls) -> dict[str, type]:
        """The keys that hold one number, with int or float."""
        return {key: _NUMBERS[a] for key, field in cls.model_fields.items() if (a := field.annotation) in _NUMBERS}


@dataclass(frozen=True)
class OneOf:
    """The annotation of a key that takes a section of one of `kinds`; without a default, `kind` must be written."""

    kinds: Mapping[str, type[Kind]]
    default: str | None = None

    def read(self, value: Any) -> Kind:
        """The section that a recipe's value stands for; ValueError or ValidationError for an invalid value."""
        if isinstance(value, Kind):
            if self.kinds.get(value.kind) is not type(value):
                raise ValueError(f"unknown kind; choose one of {', '.join(self.kinds)}")
            return value
        keys = {"kind": value} if isinstance(value, str) else value
        if isinstance(keys, Mapping) and self.default is not None:
            keys = {"kind": self.default, **keys}
        if not isinstance(keys, Mapping) or "kind" not in keys:
            raise ValueError(f"write one of {', '.join(self.kinds)}, or {{kind: ...}} with keys of that kind")
        name = keys["kind"]
        if not isinstance(name, str) or name not in self.kinds:
            raise ValueError(f"unknown kind; choose one of {', '.join(self.kinds)}")
        section = self.kinds[name]
        for key in keys:
            if key not in section.model_fields:
                if owners := [other for other, kind in self.kinds.items() if key in kind.model_fields]:
                    raise ValueError(f"{key} has no effect with kind: {name}; it belongs to {' and '.join(owners)}")
                raise report_unknown(key, keys[key], section.model_fields)
        try:
            return section.model_validate(dict(keys))
        except ValidationError as error:
            raise _name_valid_keys(error, section) from None

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        return core_schema.no_info_plain_validator_function(self.read)


def report_unknown(key: Any, value: Any, valid: Iterable[str], place: Sequence[str | int] = ()) -> ValidationError:
    """The error for an unknown `key` of a section, with the keys that are valid there; `place` leads to the section."""
    problem = PydanticCustomError("extra_forbidden", "unknown key", {"valid": sorted(valid)})
    details = InitErrorDetails(type=problem, loc=(*place, str(key)), input=value)
    return ValidationError.from_exception_data("section", [details])


def _name_valid_keys(error: ValidationError, section: type[Section]) -> ValidationError:
    """The first unknown key of an error of `section` that is in a section below it, with the keys valid there.

    The error itself, if there is none.
    """
    for problem in error.errors(include_url=False):
        *place, key = problem["loc"] or ("",)
        below: Any = section
        for part in place:
            below = below.model_fields[part].annotation if hasattr(below, "model_fields") else None
        if problem["type"] == "extra_forbidden" and hasattr(below, "model_fields"):
            return report_unknown(key, problem["input"], below.model_fields, place)
    return error
