"""The descriptions of images that a recipe names: by which key, and of which file in `sources/`."""

from __future__ import annotations

from ops.recipe.prior import PoolSettings
from ops.recipe.schema import Recipe


def list_named(recipe: Recipe) -> dict[str, str]:
    """Names of files in `sources/` by the dotted key that names them; `source` is the first."""
    found = {"source": recipe.source}
    if recipe.data.unlabelled is not None:
        found["data.unlabelled"] = recipe.data.unlabelled
    if isinstance(recipe.prior, PoolSettings):
        found["prior.pool"] = recipe.prior.pool
    return found
