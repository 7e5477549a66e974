"""One table of classes for whoever names them: by index, by the source's name, by the name in prompts.

The table is made from the source's classes in the order of their labels, and prompts are found by name. So names can
come in any order, and an order that differs between source, prompts, scorer and writer is an error and no wrong label.
(In the code that was published with GIF, generated images of PathMNIST were counted in another order than real ones,
and the prompts of Flowers had the number of a folder for a name.)
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass

from ops.errors import UserError
from ops.recipe.prompts import CLASS, Naming

KEY = "generator.prompts"
WORDS = re.compile(r"\w+")
MEANINGLESS = frozenset({"class", "label", "category", "c", "n", "id", "no"})  # words that say nothing beside a number


def _means_something(name: str) -> bool:
    """Whether a name has a word, and not only a number with a word for numbers such as "class 21" or "n01440764"."""
    numbered = any(character.isdigit() for character in name)
    return any(word.isalpha() and not (numbered and word.lower() in MEANINGLESS) for word in WORDS.findall(name))


@dataclass(frozen=True)
class ClassTable:
    """The classes in the order of their labels.

    names : in the source. spoken : in prompts. templates : sentences with `{class}`.
    """

    names: tuple[str, ...]
    spoken: tuple[str, ...]
    templates: tuple[str, ...]

    def write(self, label: int, template: int = 0, templates: Sequence[str] | None = None) -> str:
        """The prompt of a class by the template of this number; `templates` stand in for the table's own."""
        return (templates or self.templates)[template].replace(CLASS, self.spoken[label])

    def require_same(self, others: Sequence[str], whose: str) -> None:
        """UserError if the classes of `others` are not these, in this order."""
        compare_classes(self.names, others, whose)


def compare_classes(names: Sequence[str], others: Sequence[str], whose: str, theirs: str = "the prompts") -> None:
    """UserError if `others` of `whose` are not the classes `names`, which are `theirs`, in their order."""
    if tuple(others) == tuple(names):
        return
    if sorted(others) != sorted(names):
        strange = sorted(set(others) ^ set(names))
        raise UserError(f"{whose} and {theirs} name different classes: only one of them has {strange[0]!r}")
    place = next(i for i, (one, other) in enumerate(zip(names, others, strict=True)) if one != other)
    raise UserError(
        f"{whose} has the classes in another order: class {place} is {others[place]!r} there and"
        f" {names[place]!r} in {theirs}"
    )


def compare_spoken(names: Sequence[str], spoken: Sequence[str], others: Sequence[str], whose: str, theirs: str) -> None:
    """UserError if a class of `names` is called otherwise by `whose` (`others`) than by `theirs` (`spoken`)."""
    for name, one, other in zip(names, spoken, others, strict=True):
        if one != other:
            raise UserError(f"{theirs} call class {name!r} {one!r}, and {whose} calls it {other!r}; use one name")


def build_class_table(class_names: Sequence[str], settings: Naming, key: str = KEY) -> ClassTable:
    """The table for the source's classes in the order of their labels.

    Names of other classes do no harm: a recipe may take some classes of its source. UserError, with the recipe's
    section `key`, for a class without a name that means something in a prompt, and for two classes that are called
    alike.
    """
    if settings.class_names is None:
        spoken = [" ".join(name.replace("_", " ").split()) for name in class_names]
        for name, words in zip(class_names, spoken, strict=True):
            if not _means_something(words):
                raise UserError(
                    f"class {name!r} has no name that a prompt could use; say what each class is called in"
                    f" {key}.class_names"
                )
    else:
        given = settings.class_names
        if missing := [name for name in class_names if not given.get(name, "").strip()]:
            near = difflib.get_close_matches(missing[0], [name for name in given if name not in class_names], n=1)
            hint = f"; {near[0]!r} there is no class" if near else ""
            raise UserError(f"{key}.class_names has no name for class {missing[0]!r}{hint}")
        spoken = [given[name].strip() for name in class_names]
    seen: dict[str, str] = {}
    for name, words in zip(class_names, spoken, strict=True):
        if (other := seen.setdefault(words.lower(), name)) != name:
            raise UserError(
                f"classes {other!r} and {name!r} are both called {words!r} in prompts; give them different names in"
                f" {key}.class_names"
            )
    return ClassTable(tuple(class_names), tuple(spoken), settings.templates)
