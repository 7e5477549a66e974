"""How a setting changes its recipe: which changes take the place of others, and which have no effect.

It also finds the setting's numbers of images, `images.pool` and `images.unlabelled`, which are no keys of a recipe. It
knows no recipe and no images.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from ops.errors import UserError
from ops.recipe.arms import AUTO
from ops.study.pool import ALL, PoolSize, check_size
from ops.study.unlabelled import KEY as UNLABELLED

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
    "data.unlabelled",
    "verdict",
    "report",
    "publish",
)
POOL = "images.pool"
RACED = "classifier.seeds"  # how many final trainings the controller's races prepare, where an arm says auto
INSTEAD = {
    "prior.pool": f"the pool of a study is {POOL}",
    "data.unlabelled": f"the images without labels of a study are {UNLABELLED}",
}


class Changes(NamedTuple):
    """A setting's changes of the recipe, the images of its pool, and those that it expands without labels."""

    recipe: dict[str, Any]
    pool: PoolSize | None
    unlabelled: PoolSize | None


def join_changes(*each: Mapping[str, Any]) -> dict[str, Any]:
    """Changes one after another: a later one takes the place of earlier ones of the same key, or of keys in it."""
    found = dict[str, Any]()
    for changes in each:
        found = {
            key: value for key, value in found.items() if not any(f"{key}.".startswith(f"{new}.") for new in changes)
        }
        found |= changes
    return found


def races(*sides: Mapping[str, Any]) -> bool:
    """Whether some arm, as it is written, leaves something to the controller."""
    arms = [keys for arms in sides for keys in arms.values() if isinstance(keys, Mapping)]
    return any(AUTO in (keys.get("strength"), keys.get("real_weight")) for keys in arms)


def refuse_idle(changes: Mapping[str, Any], here: str, *, is_raced: bool = False) -> None:
    """UserError for a change without effect; `here` begins the message. is_raced: whether some arm says auto."""
    idle_keys = [key for key in IDLE_KEYS if not (is_raced and key == RACED)]
    for key, value in changes.items():
        within = [key, *(f"{key}.{name}" for name in value)] if isinstance(value, Mapping) else [key]
        written = next((each for each in within if each in INSTEAD), key)
        if idle := next((each for each in idle_keys if f"{written}.".startswith(f"{each}.")), None):
            instead = f"; {INSTEAD[idle]}" if idle in INSTEAD else ""
            raise UserError(
                f"{here}: a change of {written} has no effect, because a study does not take {idle} from there{instead}"
            )


def split_size(
    changes: Mapping[str, Any], key: str, size: PoolSize | None, here: str
) -> tuple[dict[str, Any], PoolSize | None]:
    """The other changes, and the setting's number of images at `key`: the part's own where they say nothing of it."""
    rest = dict(changes)
    if (found := rest.pop(key, size)) is None:
        return rest, None
    try:
        return rest, check_size(found)
    except ValueError as error:
        raise UserError(f"{here}: {key}: {error}") from None


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
