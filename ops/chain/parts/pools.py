"""The pool of a recipe's prior: its images for the labelled ones' shape, and what may not be among them.

A prior that had seen validation or test images would draw them, and every comparison on them would be worth nothing. So
a pool that holds one of them is refused, by content id: the same pixels, whatever the file is called.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from ops.chain.real_images import list_known, open_source
from ops.datasets.pixels import read_rows
from ops.datasets.shards import find_shards
from ops.errors import EnvironmentFault, UserError
from ops.files.manifests import read_manifest
from ops.files.outputs import PRIOR as FACTS
from ops.files.outputs import TRAINED_ON
from ops.files.storage import read_json
from ops.recipe.ingredients.unlabelled import PseudoLabels
from ops.recipe.prior import PoolSettings
from ops.recipe.schema import Recipe
from ops.sources.listing import SPLITS
from ops.sources.pool import PoolImages, Shape, adapt, read_pool
from ops.sources.spec import SourceSpec
from ops.stages.seen import Seen
from ops.workspaces.workspace import Workspace

if TYPE_CHECKING:
    from ops.verdict.pool import PoolComparison  # whose module imports scipy, which takes a quarter of a second

PRIOR = "prior"  # the stage
EVALUATED = ("validation", "test")


def open_pool(workspace: Workspace, pool: str, source: str) -> SourceSpec:
    """The description of a pool, converted as the labelled images of `source` are; fetched if it is remote.

    UserError if there is no description of one of them.
    """
    return adapt(open_source(workspace, pool), open_source(workspace, source))


@lru_cache(maxsize=64)
def try_pool(spec: SourceSpec, shape: Shape, content: str) -> frozenset[str]:
    """Content ids of a pool's images; raises as `read_pool`. A pool with equal content is read once per process."""
    return strip(read_pool(spec, shape).ids)


def list_protected(folds: int | None) -> tuple[str, ...]:
    """The splits whose images may not be in a pool: all of them where every image is a test image of some fold."""
    return EVALUATED if folds is None else SPLITS


def list_ids(real_images: Path, splits: Iterable[str]) -> dict[str, frozenset[str]]:
    """Content ids of these splits in the output of the stage real_images, and of their images before a nuisance."""
    return {split: list_known(read_rows(find_shards(real_images, split))) for split in splits}


def read_seen_ids(prior: Path) -> frozenset[str]:
    """Content ids of the images that the prior in a stage's folder was trained on."""
    return strip(pl.read_parquet(prior / TRAINED_ON, glob=False)["image_id"])


def read_seen_pool(workspace: Workspace, prior: Path, real_images: Path) -> PoolImages:
    """The images that the prior in a stage's folder was trained on, read from their source again.

    EnvironmentFault if the source has other images by now.
    """
    pool, real = read_json(prior / FACTS)["pool"], read_manifest(real_images)
    height, width, channels = real["metrics"]["shape"]
    found = read_pool(open_pool(workspace, pool, real["settings"]["source"]), (height, width, channels))
    if found.ids != pl.read_parquet(prior / TRAINED_ON, glob=False)["image_id"].to_list():
        raise EnvironmentFault(
            f"the images of the pool '{pool}' have changed since the prior learnt from them; run the expansion again,"
            " which trains the prior anew"
        )
    return found


def mark_known(ids: Iterable[str], labelled: Collection[str]) -> np.ndarray:
    """Whether each image of a pool, by its id, is among the labelled ones, by their content ids; bool [n]."""
    return np.array([not strip([name]).isdisjoint(labelled) for name in ids], bool)


def tell_pool(seen: Seen, labelled: int, comparison: PoolComparison | None) -> str:
    """What a verdict says of the pool after its decision; labelled: images of the pool that are labelled as well."""
    if comparison is None:
        return seen.disclose(labelled)
    return seen.disclose(labelled, comparison.seeing) + comparison.sentence


def count_shared(prior: Path, real_images: Path) -> int:
    """How many of the images that the prior saw are labelled training images as well; folders of two stages."""
    return len(read_seen_ids(prior) & list_ids(real_images, ["train"])["train"])


def strip(ids: Iterable[str]) -> frozenset[str]:
    """Content ids from ids of images, in which a suffix tells equal images apart."""
    return frozenset(name.partition("-")[0] for name in ids)


def require_unlabelled(recipe: Recipe, seen: Collection[str], labelled: Collection[str]) -> None:
    """UserError for a pool without an image that is not labelled where such images are to get labels.

    seen, labelled: content ids of the pool and of the labelled training images.
    """
    assert isinstance(recipe.prior, PoolSettings)
    asking = [arm for arm, keys in recipe.baselines.items() if isinstance(keys.unlabelled, PseudoLabels)]
    if not (recipe.generator.labels_pool or asking) or not set(seen) <= set(labelled):
        return
    key = "generator.pseudo_labels" if recipe.generator.labels_pool else f"baselines.{asking[0]}.unlabelled"
    raise UserError(
        f"every image of the pool '{recipe.prior.pool}' is a labelled training image, so none is left for {key}; bring"
        " a pool with others, or label fewer of them: data.images_per_class"
    )


def require_unseen_pool(recipe: Recipe, seen: Collection[str], protected: Mapping[str, Collection[str]]) -> None:
    """UserError for a pool that holds images of a protected split; seen, protected: content ids."""
    assert isinstance(recipe.prior, PoolSettings)
    known, pool = set(seen), recipe.prior.pool
    for split, ids in protected.items():
        if both := sorted(known.intersection(ids)):
            many = f"{len(both):,} images that are" if len(both) > 1 else "an image that is"
            of = f"{split} images" if split in EVALUATED else f"{split} images, which become test images in a fold"
            raise UserError(
                f"the pool '{pool}' holds {many} among the {of} too, e.g. {both[0]}; a prior must not see them: take"
                " them out of the pool"
            )
