"""What a network that reads texts is told of a class: sentences with a place for its name.

Generators that draw from prompts and scorers that compare images with prompts have the same keys, so that one table of
classes (`ops.generators.diffusion.classes`) serves both.
"""

from __future__ import annotations

from typing import Protocol

CLASS = "{class}"  # stands in a template for the name of the class
TEMPLATES = ("a photo of a {class}.",)  # Radford et al. 2021, §3.1.4


class Naming(Protocol):
    """Keys that name classes: templates, and what each class is called in them, by its name in the source."""

    @property
    def templates(self) -> tuple[str, ...]: ...
    @property
    def class_names(self) -> dict[str, str] | None: ...


def check_templates(templates: tuple[str, ...]) -> tuple[str, ...]:
    """The templates; ValueError for one that does not hold {class} exactly once."""
    for template in templates:
        if template.count(CLASS) != 1:
            raise ValueError(f"{template!r} must hold {CLASS} once, in place of the class's name")
    return templates
