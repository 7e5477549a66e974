"""The grid of a tournament: numbers of the training and of its ingredients, tried by every arm that has them.

A key is `learning_rate`, `weight_decay`, `steps` or `real_weight`, or a number of an ingredient: `pairing.alpha` for
every pairing that has an alpha, `augmentation.randaugment.strength` for that kind only. An arm tries the keys that it
has.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import Annotated, Any

from pydantic import ConfigDict, Field, ValidationError, model_validator

from ops.recipe.arms import INGREDIENTS, Arm
from ops.settings.kinds import Kind, report_unknown
from ops.settings.section import Count, Positive, Section

Values = Annotated[tuple[float, ...], Field(strict=False, min_length=1)]
MAX_SETTINGS = 6  # of a grid
COMMON_KEYS = ("learning_rate", "weight_decay", "steps")  # every arm has these


@dataclass(frozen=True)
class Setting:
    """One point of the grid: a value for each of its keys that an arm has, in their order."""

    values: tuple[tuple[str, float], ...]

    def __getitem__(self, key: str) -> float:
        return dict(self.values)[key]

    def get(self, key: str) -> float | None:
        """The value of a key, or None if the setting lacks it."""
        return dict(self.values).get(key)

    @property
    def keys(self) -> tuple[str, ...]:
        return tuple(key for key, _ in self.values)

    def to_dict(self) -> dict[str, float]:
        return dict(self.values)

    @property
    def label(self) -> str:
        """The values as part of a file's name."""
        return "_".join(repr(value) for _, value in self.values)


@dataclass(frozen=True)
class Number:
    """A number of an ingredient that a key of the grid names; `kind` is None where the key is for all its kinds."""

    ingredient: str
    kind: str | None
    name: str

    def belongs_to(self, arm: Arm) -> bool:
        """Whether the arm has it, as a number and not as null."""
        section = arm.ingredient(self.ingredient)
        is_named = self.kind in (None, section.kind) and self.name in section.numbers()
        return is_named and getattr(section, self.name) is not None

    def read(self, arm: Arm) -> float:
        """The arm's own value."""
        return float(getattr(arm.ingredient(self.ingredient), self.name))

    def set(self, section: Kind, value: float) -> Kind:
        """The ingredient with another value; ValueError for a value that is not allowed."""
        exact = int(value) if section.numbers()[self.name] is int and value.is_integer() else value
        try:
            return type(section).model_validate({**section.model_dump(), self.name: exact})
        except ValidationError as error:
            message = error.errors()[0]["msg"].removeprefix("Value error, ")
            place = f"{self.ingredient}.{self.name}"
            raise ValueError(f"{place}: {message[0].lower()}{message[1:]}; got {value!r}") from None


def list_numbers() -> dict[str, Number]:
    """The number that each key names, for all keys of ingredients that a grid may have."""
    found = {}
    for ingredient, kinds in INGREDIENTS.items():
        for kind, section in kinds.items():
            for name in section.numbers():
                found[f"{ingredient}.{name}"] = Number(ingredient, None, name)
                found[f"{ingredient}.{kind}.{name}"] = Number(ingredient, kind, name)
    return found


class GridSettings(Section):
    """Settings that arms try, chosen per arm on validation at the first seed.

    Where some arms have more settings than others, they are tried at an extra seed, which is not judged. Besides these
    keys, any number of an ingredient may be a key: `pairing.alpha`, `augmentation.randaugment.strength`.
    """

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Values] = Field(init=False)

    learning_rate: tuple[Positive, ...] = Field((0.02,), strict=False, min_length=1, description="peaks to try")
    weight_decay: tuple[Annotated[float, Field(ge=0)], ...] = Field(
        (0.1,), strict=False, min_length=1, description="decays to try"
    )
    steps: tuple[Count, ...] | None = Field(
        None, strict=False, min_length=1, description="optimizer steps to try, including `steps`; null: `steps` only"
    )
    real_weight: tuple[Positive, ...] | None = Field(
        None, strict=False, min_length=1, description="values of N to try in arms under `expanded`, including their own"
    )

    @model_validator(mode="before")
    @classmethod
    def _check_keys(cls, keys: Any) -> Any:
        if isinstance(keys, Mapping):
            valid = [*cls.model_fields, *list_numbers()]
            for key in keys:
                if key not in valid:
                    raise report_unknown(key, keys[key], valid)
        return keys

    @model_validator(mode="after")
    def _check_size(self) -> GridSettings:
        numbers = list_numbers()
        for key in self.axes:
            if (number := numbers.get(key)) and number.kind and f"{number.ingredient}.{number.name}" in self.axes:
                raise ValueError(f"{key} and {number.ingredient}.{number.name} are the same number; keep one of them")
        if prod(len(values) for values in self.axes.values()) > MAX_SETTINGS:
            raise ValueError(f"the grid may have at most {MAX_SETTINGS} settings")
        return self

    @property
    def is_equal(self) -> bool:
        """Whether every arm that takes steps tries equally many settings.

        Keys that only some arms have must have one value each.
        """
        return all(len(values) == 1 for key, values in self.axes.items() if key not in COMMON_KEYS)

    def is_fair(self, arms: Iterable[Arm], *, is_expanded: bool) -> bool:
        """Whether these arms try equally many settings; a probe has fewer where rates, decays or steps are tried."""
        return self.is_equal and len({len(self.list_settings(arm, is_expanded=is_expanded)) for arm in arms}) <= 1

    @property
    def axes(self) -> dict[str, Sequence[float]]:
        """The values to try, by key."""
        written = {key: getattr(self, key) for key in type(self).model_fields}
        extra = dict(sorted((self.__pydantic_extra__ or {}).items()))  # a fingerprint ignores a mapping's order
        return {key: values for key, values in {**written, **extra}.items() if values is not None}

    def list_settings(self, arm: Arm, *, is_expanded: bool) -> list[Setting]:
        """All settings that `arm` tries, in the grid's order.

        Only an arm under `expanded` tries `real_weight`, and none whose generated images have no labels, or are
        variants, or whose beta says what they weigh. A probe takes no steps, so it has no use for more than one rate,
        decay and number of steps.
        """
        is_labelled = getattr(arm.consistency, "images", None) != "generated" and arm.variants.kind == "none"
        numbers, is_weighted = list_numbers(), is_expanded and is_labelled and arm.beta is None
        axes = {
            key: values
            for key, values in self.axes.items()
            if (numbers[key].belongs_to(arm) if key in numbers else key != "real_weight" or is_weighted)
        }
        if arm.trainer.kind == "probe":
            axes |= {key: axes[key][:1] for key in COMMON_KEYS if key in axes}
        return [Setting(tuple(zip(axes, values, strict=True))) for values in product(*axes.values())]


def read_numbers(arm: Arm, setting: Setting, real_weight: float) -> dict[str, float]:
    """The arm's own values of the setting's numbers; `real_weight` is the value of an arm that sets none itself."""
    numbers = list_numbers()
    found = {key: numbers[key].read(arm) for key in setting.keys if key in numbers}
    if setting.get("real_weight") is not None:
        assert not isinstance(arm.real_weight, str), "the controller chooses it, which no grid may do beside it"
        found["real_weight"] = real_weight if arm.real_weight is None else arm.real_weight
    return found


def keep_own_numbers(arm: Arm, setting: Setting) -> Setting:
    """The setting with the arm's own numbers; a real_weight that it has not itself is that of the images, so none.

    Rates, decays and steps stay.
    """
    assert not isinstance(arm.real_weight, str), "the controller has not settled this arm"
    numbers, values = list_numbers(), setting.to_dict()
    values |= {key: numbers[key].read(arm) for key in setting.keys if key in numbers}
    if "real_weight" in values and arm.real_weight is None:
        del values["real_weight"]
    elif "real_weight" in values and arm.real_weight is not None:
        values["real_weight"] = arm.real_weight
    return Setting(tuple(values.items()))


def set_numbers(arm: Arm, setting: Setting) -> Arm:
    """The arm with the setting's real_weight and its ingredients' numbers; ValueError for a number out of range."""
    numbers, changes = list_numbers(), dict[str, Any]()
    for key, value in setting.values:
        if number := numbers.get(key):
            section = changes.get(number.ingredient, arm.ingredient(number.ingredient))
            changes[number.ingredient] = number.set(section, value)
        elif key == "real_weight":
            changes[key] = value
    return arm.model_copy(update=changes)
