"""The names of expansions: which are allowed, and which two cannot be active at once.

A name is part of addresses, paths, git tags, and of the names of Dagster's assets, groups and jobs, where only letters,
digits and _ are allowed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from ops.errors import UserError

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
LONGEST = 57  # Dagster's tags hold 63 characters, and a rehearsal's name ends in `-quick`
SOURCES = "sources"  # the first part of the keys of Dagster's assets for sources


def identifier(name: str) -> str:
    """The name with _ for - and . , as Dagster writes it where it allows letters, digits and _ only."""
    return re.sub("[.-]", "_", name)


def check_name(name: str) -> None:
    """UserError unless a recipe, and so an expansion, may have this name."""
    if not NAME.fullmatch(name):
        raise UserError(
            f"{name!r} cannot name a recipe; allowed: letters, digits and _ . -, starting with a letter or digit"
        )
    if ".." in name or name.endswith(".lock"):
        raise UserError(f"{name!r} cannot name a recipe: git allows no tag with '..', or with '.lock' at an end")
    if len(name) > LONGEST:
        raise UserError(f"{name!r} cannot name a recipe: it has {len(name)} characters; allowed: at most {LONGEST}")
    if identifier(name) == SOURCES:
        raise UserError(f"{name!r} cannot name a recipe: Dagster lists the sources under this name; choose another")


def require_distinct(names: Iterable[str], what: str = "expansions") -> None:
    """UserError if two names have one identifier, so that Dagster could not tell them apart; `what` they name."""
    known: dict[str, str] = {}
    for name in names:
        other = known.setdefault(identifier(name), name)
        if other != name:
            raise UserError(
                f"the {what} '{other}' and '{name}' cannot both be active: Dagster writes both as"
                f" '{identifier(name)}'; rename one of them"
            )
