"""How a setting changes its recipe: which changes take the place of others, and which have no effect.

It also finds the setting's pool, `images.pool`, which is no key of a recipe. It knows no recipe and no images.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ops.errors import UserError
from ops.study.pool import ALL, PoolSize, check_size

IDLE_KEYS = (  # of a recipe; a study sets them itself, or does not come to the stages that read them
    "source",
    "seed",
    "on_new_images",
    "baselines",
    "expanded",
    "classifier.steps",
    "classifier.seeds",
    "classifier.race",
    "classifier.grid.steps",
    "prior.pool",
    "verdict",
    "report",
    "publish",
)
POOL = "images.pool"


def join_changes(*each: Mapping[str, Any]) -> dict[str, Any]:
    """Changes one after another: a later one takes the place of earlier ones of the same key, or of keys in it."""
    found = dict[str, Any]()
    for changes in each:
        found = {
            key: value for key, value in found.items() if not any(f"{key}.".startswith(f"{new}.") for new in changes)
        }
        found |= changes
    return found


def refuse_idle(changes: Mapping[str, Any], here: str) -> None:
    """UserError for a change without effect; `here` begins the message."""
    for key, value in changes.items():
        written = f"{key}.pool" if key == "prior" and isinstance(value, Mapping) and "pool" in value else key
        if idle := next((each for each in IDLE_KEYS if f"{written}.".startswith(f"{each}.")), None):
            instead = f"; the pool of a study is {POOL}" if idle == "prior.pool" else ""
            raise UserError(
                f"{here}: a change of {written} has no effect, because a study does not take {idle} from there{instead}"
            )


def split_pool(changes: Mapping[str, Any], pool: PoolSize | None, here: str) -> tuple[dict[str, Any], PoolSize | None]:
    """The changes of the recipe, and the setting's pool, which is the part's own where they say nothing of it."""
    rest = dict(changes)
    if (found := rest.pop(POOL, pool)) is None:
        return rest, None
    try:
        return rest, check_size(found)
    except ValueError as error:
        raise UserError(f"{here}: {POOL}: {error}") from None


def require_both(*, has_prior: bool, pool: PoolSize | None, here: str) -> None:
    """UserError for a prior without a pool, and for a pool from which nothing learns."""
    if has_prior and pool is None:
        raise UserError(
            f"{here}: a prior learns from a pool; add {POOL}: {ALL}, or a number of training images, or write prior:"
            " null"
        )
    if pool is not None and not has_prior:
        raise UserError(
            f"{here}: {POOL}: {pool} has no effect without a prior; add prior: {{kind: flow}}, or write {POOL}: null"
        )
