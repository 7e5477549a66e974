"""The packages that a package brings along: what it requires, what these require, and so on.

All facts come from the metadata of the packages that are installed here. Markers are evaluated for this machine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageMetadata, PackageNotFoundError, metadata

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from ops.documents.declared_licence import read_licence

ROOT = "growset"


@dataclass(frozen=True)
class Package:
    """An installed package: its normalised name (PEP 503), the SPDX expression of its licence, or NOASSERTION, and
    the names of the installed packages that it requires."""

    name: str
    version: str
    licence: str
    requires: tuple[str, ...] = ()


@dataclass(frozen=True)
class Closure:
    """A package and everything that it brings along, by name, itself first; and what is required but not installed."""

    packages: dict[str, Package]
    missing: tuple[str, ...]


find_installed = cache(metadata)  # which parses it anew at every call


def read_closure(
    root: str = ROOT, extras: Iterable[str] = (), find: Callable[[str], PackageMetadata] = find_installed
) -> Closure:
    """The closure of `root` with some of its extras. `find` gives the metadata of a package by name.

    PackageNotFoundError if `root` is not installed.
    """
    found = {root: find(root)}
    required: dict[str, set[str]] = {}
    missing: set[str] = set()
    asked: dict[str, set[str]] = {}  # extras of each package
    waiting = [(root, set(extras))]
    while waiting:
        name, more = waiting.pop()
        if name in asked and more <= asked[name]:
            continue
        asked[name] = asked.get(name, set()) | more
        for requirement in _list_applying(found[name], asked[name]):
            other = canonicalize_name(requirement.name)
            try:
                found.setdefault(other, find(other))
            except PackageNotFoundError:
                missing.add(other)
                continue
            required.setdefault(name, set()).add(other)
            waiting.append((other, set(requirement.extras)))
    packages = {name: _describe(name, found[name], required.get(name, set())) for name in (root, *sorted(found))}
    return Closure(packages, tuple(sorted(missing)))


def _list_applying(package: PackageMetadata, extras: set[str]) -> list[Requirement]:
    """The requirements of a package that hold on this machine, with some of its extras."""
    requirements = map(Requirement, package.get_all("Requires-Dist") or [])
    return [
        each
        for each in requirements
        if each.marker is None or any(each.marker.evaluate({"extra": extra}) for extra in ("", *extras))
    ]


def _describe(name: str, package: PackageMetadata, requires: set[str]) -> Package:
    return Package(name, package["Version"], read_licence(name, package), tuple(sorted(requires - {name})))
