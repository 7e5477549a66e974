"""Whether the pool of a block's prior holds none of its evaluation and validation images, before the prior learns."""

from __future__ import annotations

from pathlib import Path

from ops.chain.parts.pools import EVALUATED, list_ids, open_pool, require_unlabelled, require_unseen_pool, try_pool
from ops.files.manifests import read_manifest
from ops.recipe.prior import PoolSettings
from ops.recipe.schema import Recipe
from ops.workspaces.workspace import Workspace


def check_seen_pool(own: Workspace, recipe: Recipe, content: str, real_images: Path) -> None:
    """UserError for a pool that holds evaluation or validation images of the block.

    own: the study's workspace. content: hash of the pool. real_images: folder of the stage.
    """
    prior = recipe.prior
    assert isinstance(prior, PoolSettings)
    height, width, channels = read_manifest(real_images)["metrics"]["shape"]
    seen = try_pool(open_pool(own, prior.pool, recipe.source), (height, width, channels), content)
    require_unseen_pool(recipe, seen, list_ids(real_images, EVALUATED))
    require_unlabelled(recipe, seen, list_ids(real_images, ["train"])["train"])
