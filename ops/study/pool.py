"""The unlabelled pool of a study: images that its settings may label, and that none of them evaluates on.

A prior learns from it (docs/priors.md). It is taken from what is left when the evaluation and validation images were
put aside, without a look at labels; so images that a block labels may be in it. It depends on no setting or seed. The
module does not know what learns from it.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from ops.errors import UserError
from ops.files.storage import replace_file, write_json
from ops.settings.reading import shorten
from ops.settings.section import Count
from ops.sources.spec import load_source_spec
from ops.workspaces.workspace import Workspace

SOURCE = "images"  # the name of the study's source
ARRAYS = "images.npz"  # the images of all its splits
ALL: Literal["all"] = "all"
PoolSize = Literal["all"] | Count
QUICK_POOL = 500  # images of a quick run's pool, at most
STREAM = 2**31  # of the draw; those of the classes that are put aside are small numbers


def check_size(value: Any) -> PoolSize:
    """The same value; ValueError if it is no size of a pool."""
    if value == ALL:
        return ALL
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f"{shorten(value)} is no size of a pool; allowed: {ALL}, or a whole number from 1 on")
    return value


def name_pool(size: PoolSize) -> str:
    """The name of the pool's source in the study's workspace."""
    return f"{SOURCE}-pool-{size}"


def draw_pool(images: int, size: int, seed: int) -> np.ndarray:
    """Rows of a pool, int64 [size], sorted, among so many images; a smaller pool is part of a larger one."""
    return np.sort(np.random.default_rng([seed, STREAM]).permutation(images)[:size])


def read_shape(own: Workspace) -> tuple[int, int, int]:
    """(C, H, W) of the study's images."""
    with np.load(own.root / ARRAYS) as arrays:
        height, width, channels = arrays["val_images"].shape[1:]
    return channels, height, width


def put_pool(own: Workspace, size: PoolSize, seed: int, *, most: int | None = None) -> None:
    """Write the source of a pool where it is missing; its labels are all 0.

    own: the study's workspace, with its images. seed: of the draw. most: images that it has at most.

    UserError where so many images are not left.
    """
    with np.load(own.root / ARRAYS) as arrays:
        left = len(arrays["train_labels"])
        wanted = left if size == ALL else int(size)
        if wanted > left:
            raise UserError(
                f"images.pool is {wanted:,}, and {left:,} images are left when evaluation and validation images are put"
                f" aside; lower it, or write {ALL}"
            )
        wanted = wanted if most is None else min(wanted, most)
        if own.source_path(name_pool(size)).exists():
            return
        path = own.root / (ARRAYS if wanted == left else f"{name_pool(size)}.npz")
        if wanted < left:
            chosen = arrays["train_images"][draw_pool(left, wanted, seed)]
            with replace_file(path) as temporary, temporary.open("wb") as file:
                np.savez(file, train_images=chosen, train_labels=np.zeros(wanted, np.uint8))
    licence = load_source_spec(own.source_path(SOURCE)).licence
    described = {"kind": "npz", "path": f"../{path.name}", "licence": licence}
    write_json(own.source_path(name_pool(size)), described)  # JSON is YAML
