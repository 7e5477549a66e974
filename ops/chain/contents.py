"""The content hashes of the images that stages read from sources, by stage: part of these stages' identity."""

from __future__ import annotations

from ops.chain.parts.pools import PRIOR, open_pool
from ops.chain.real_images import source_content
from ops.recipe.prior import PoolSettings
from ops.recipe.schema import Recipe
from ops.sources.pool import hash_pool
from ops.workspaces.workspace import Workspace

FIRST = "real_images"


def read_content(workspace: Workspace, recipe: Recipe, stage: str) -> str | None:
    """Of what this stage reads from a source; None for a stage that reads none. UserError as `open_source`."""
    if stage == FIRST:
        return source_content(workspace, recipe)
    if stage == PRIOR and isinstance(recipe.prior, PoolSettings):
        spec = open_pool(workspace, recipe.prior.pool, recipe.source)
        return hash_pool(spec, workspace.source_hash_cache(spec.name))
    return None


def read_contents(workspace: Workspace, recipe: Recipe) -> dict[str, str]:
    """Of all stages that read a source."""
    found = {stage: read_content(workspace, recipe, stage) for stage in (FIRST, PRIOR)}
    return {stage: content for stage, content in found.items() if content is not None}
