"""Units, by which draws are numbered: a class, or a seed image of which variants are made.

The k-th draw of a unit is a function of the seed, the unit's key and k (design, contract 2). This module draws nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Unit:
    """A class (without a parent) or a seed image (with one).

    Parameters
    ----------
    key : selects the unit's noise: the class's name, or the seed image's id, which follows from its content.
    label : of the drawn images, 0 or more.
    parent : id of the seed image.
    """

    key: str
    label: int
    parent: str | None = None


@dataclass(frozen=True)
class Run:
    """Draws `first` .. `first + count - 1` of a unit."""

    unit: Unit
    first: int
    count: int = 1


def list_classes(class_names: Sequence[str]) -> tuple[Unit, ...]:
    """The units of a generator that draws classes, in label order."""
    return tuple(Unit(name, label) for label, name in enumerate(class_names))


def list_parents(ids: Sequence[str], labels: Sequence[int]) -> tuple[Unit, ...]:
    """The units of a generator that makes variants of seed images, sorted by label, then in the order of the images.

    Equal images have different ids (`ops.datasets.identity`), so each has its own variants.
    """
    units = [Unit(name, label, name) for name, label in zip(ids, labels, strict=True)]
    return tuple(sorted(units, key=lambda unit: unit.label))


def have_parents(units: Sequence[Unit]) -> bool:
    """Whether the draws are variants of seed images."""
    return any(unit.parent is not None for unit in units)
