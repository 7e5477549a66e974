"""That the pool of a block holds no image that the block evaluates on, compared by content.

It is asked again for each block, before a prior is trained or taken over.
"""

from __future__ import annotations

from pathlib import Path

from ops.chain.parts.pools import EVALUATED, list_ids, open_pool, require_unlabelled, require_unseen_pool, try_pool
from ops.files.manifests import read_manifest
from ops.recipe.prior import PoolSettings
from ops.recipe.schema import Recipe
from ops.workspaces.workspace import Workspace


def require_apart(own: Workspace, recipe: Recipe, content: str, real_images: Path) -> None:
    """UserError for a pool that holds evaluation or validation images of the block, or only labelled images where some
    are to get labels.

    own: the study's workspace. content: hash of the pool. real_images: folder of the stage.
    """
    assert isinstance(recipe.prior, PoolSettings)
    height, width, channels = read_manifest(real_images)["metrics"]["shape"]
    seen = try_pool(open_pool(own, recipe.prior.pool, recipe.source), (height, width, channels), content)
    require_unseen_pool(recipe, seen, list_ids(real_images, EVALUATED))
    require_unlabelled(recipe, seen, list_ids(real_images, ["train"])["train"])
