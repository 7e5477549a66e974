"""A workspace for the rehearsal of an expansion: a small part of its training images, and its recipe made small.

It has repositories of its own and is made anew each time, so nothing of a rehearsal is mixed with a real run's outputs,
history or evaluation log. Validation and test are drawn from the training images: the source's own test images stay
shut. The module does not know how images are read.
"""

from __future__ import annotations

import shutil

import numpy as np
import polars as pl

from ops.datasets.pixels import PixelDataset, build_rows, write_shards
from ops.errors import UserError
from ops.recipe.changes import Changes, keep_effective, write_changes
from ops.recipe.loading import load_recipe
from ops.recipe.rehearsal import CLASSES, PER_CLASS, SHARE, name_pool, shrink
from ops.scaffold.texts import read_template, render_description
from ops.scaffold.workspace import set_up, share_files
from ops.sources.pool import PoolImages
from ops.sources.spec import SourceSpec, SplitRule
from ops.workspaces.workspace import Workspace

LEAST = 8  # images of a class: two for validation, two for test, and two for each fold of the scorer
IMAGES, POOL = "images", "pool"  # folders


def name_rehearsal(expansion: str) -> str:
    """The name of the rehearsal of an expansion."""
    return f"{expansion}-quick"


def create_rehearsal(
    workspace: Workspace,
    expansion: str,
    train: PixelDataset,
    spec: SourceSpec,
    changes: Changes,
    pool: PoolImages | None = None,
) -> tuple[Workspace, list[str]]:
    """Make the workspace with images of `train`; returns it, and a line for each key of the recipe that is changed.

    changes: to the recipe, before it is made small. pool: of the recipe's prior, or its images without labels.
    UserError if fewer than two classes have LEAST images, or if the pool has no others than these.
    """
    name, root = name_rehearsal(expansion), workspace.rehearsal(expansion)
    chosen, pooled = choose_images(train), name_pool(name)
    unlabelled = None if pool is None else choose_unlabelled(pool, chosen)
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(parents=True)
    draft = root / f"{name}.yaml"
    draft.write_text(read_template(workspace.recipe_path(expansion)), encoding="utf-8")
    write_changes(draft, changes)
    lines = write_changes(draft, keep_effective(draft, shrink(load_recipe(draft), name, workspace.root)))
    recipe = draft.read_bytes()
    draft.unlink()
    small = SourceSpec(
        name=name,
        kind="parquet",
        path=str(root / IMAGES),
        licence=spec.licence,
        split=SplitRule(validation=SHARE, test=SHARE),
        allow_conflicts=spec.allow_conflicts,
    )
    files = {
        f"sources/{name}.yaml": render_description(small, f"../{IMAGES}").encode(),
        f"recipes/{name}.yaml": recipe,
        **share_files(root, [name], name, source=name),
    }
    if unlabelled is not None:
        other = SourceSpec(name=pooled, kind="parquet", path=str(root / POOL), licence=spec.licence)
        files[f"sources/{pooled}.yaml"] = render_description(other, f"../{POOL}").encode()
    set_up(root, files, name, [name])
    write_shards(root / IMAGES, chosen, prefix="train")
    if unlabelled is not None:
        write_shards(root / POOL, unlabelled, prefix="train")
    return Workspace(root), lines


def choose_unlabelled(pool: PoolImages, chosen: PixelDataset) -> PixelDataset:
    """At most CLASSES times PER_CLASS images of the pool, spread evenly over its order, and none of `chosen`, of which
    some become validation and test images. UserError if there are none."""
    taken = {name.partition("-")[0] for name in chosen.rows["image_id"]}
    others = np.array([row for row, name in enumerate(pool.ids) if name.partition("-")[0] not in taken], np.int64)
    if not len(others):
        raise UserError("a rehearsal needs images in the pool that are not among the labelled ones; there are none")
    rows = others[np.unique(np.linspace(0, len(others) - 1, CLASSES * PER_CLASS).astype(int))]
    labels = build_rows(np.zeros(len(rows), np.int64), [pool.ids[row] for row in rows], split="train")
    return PixelDataset(pool.images[rows], labels, (POOL,))


def choose_images(train: PixelDataset) -> PixelDataset:
    """At most PER_CLASS images of each of the CLASSES largest classes, spread evenly over the stored order."""
    counts = np.bincount(train.labels, minlength=len(train.class_names))
    largest = np.argsort(-counts, kind="stable")[:CLASSES]
    kept = np.sort(largest[counts[largest] >= LEAST])
    if len(kept) < 2:
        raise UserError(
            f"a rehearsal needs two classes with at least {LEAST} training images each; there are {len(kept)}"
        )
    places = [np.flatnonzero(train.labels == label) for label in kept]
    rows = [each[np.unique(np.linspace(0, len(each) - 1, PER_CLASS).astype(int))] for each in places]
    labels = np.repeat(np.arange(len(kept)), [len(each) for each in rows])
    order = np.concatenate(rows)
    chosen = train.select(order)
    names = tuple(train.class_names[label] for label in kept)
    relabelled = pl.Series("label", labels, dtype=train.rows.schema["label"])
    return PixelDataset(chosen.images, chosen.rows.with_columns(relabelled), names)
