"""The images that a side's arms are trained on: real ones, or the mixed dataset of each generator."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl

from ops.chain.parts.kept_sampler import find_kept_sampler
from ops.chain.parts.pools import PRIOR, list_ids, mark_known, read_seen_pool
from ops.classifiers.examples import Examples
from ops.classifiers.variants.drawn import Drawn
from ops.datasets.axes import to_nchw
from ops.datasets.index import read_index
from ops.datasets.mixed import read_mixed
from ops.datasets.pixels import PixelDataset, read_split
from ops.datasets.unlabelled import find_growing, find_labels
from ops.files.outputs import ROUNDS
from ops.files.storage import read_json
from ops.filters.reasons import WRONG_LABEL
from ops.recipe.arms import Arm
from ops.recipe.pool_arms import learns_from_pool, sees_pool
from ops.recipe.variants import shows_generated
from ops.stages.several import count_generators, derive_seed, place_inputs
from ops.workspaces.workspace import Workspace


def read_real(inputs: Mapping[str, Path]) -> Examples:
    """The real training images, those without labels too; each weighs 1. inputs: folders by stage."""
    real = inputs["real_images"]
    train = read_split(find_growing(real), "train")
    found = _to_examples(train, find_labels(real, train.rows), np.ones(len(train)))
    return replace(found, ids=train.rows["image_id"].to_list())


def read_baselines(workspace: Workspace, inputs: Mapping[str, Path], arms: Mapping[str, Arm]) -> Examples:
    """The real training images, with the pool and the prior where some of the baselines `arms` see them.

    inputs: folders by stage. EnvironmentFault if the pool has changed since the prior learnt from it.
    """
    found = read_real(inputs)
    if not any(map(sees_pool, arms.values())):
        return found
    prior = inputs[PRIOR]
    if not any(map(learns_from_pool, arms.values())):
        return replace(found, prior=prior)
    pool = read_seen_pool(workspace, prior, inputs["real_images"])
    labelled = list_ids(inputs["real_images"], ["train"])["train"]
    return replace(found, pool=to_nchw(pool.images), known=mark_known(pool.ids, labelled), prior=prior)


def read_mixed_sets(inputs: Mapping[str, Path], arms: Mapping[str, Arm], seed: int) -> Iterator[Examples]:
    """The mixed dataset of each generator, with what some of `arms` need besides: the rejected images that a teacher
    relabels, the generated images as variants of their parents, the seed images, of which placebos are made, and the
    order in which generated images are taken by arms with a ratio of their own.

    inputs: folders by stage. seed: the recipe's.
    """
    varied = [arm for arm in arms.values() if shows_generated(arm)]
    for generator in range(count_generators(inputs["mixed_dataset"])):
        own = place_inputs(inputs, generator)
        index, rejected = read_index(own["mixed_dataset"]), 0
        if any(getattr(arm.targets, "relabel", False) for arm in arms.values()):
            mislabelled = read_index(own["accepted_images"]).filter(pl.col("reasons") == [WRONG_LABEL])
            marks = mislabelled.with_columns(is_generated=pl.lit(True), weight=pl.lit(1.0))
            index, rejected = pl.concat([index, marks.select(index.columns)]), len(mislabelled)
        mixed = read_mixed(index, find_growing(own["real_images"]), own["generated_images"])
        labels = find_labels(own["real_images"], mixed.rows)
        only_relabelled = np.arange(len(index)) >= len(index) - rejected if rejected else None
        weights, is_generated = index["weight"].to_numpy(), index["is_generated"].to_numpy()
        found = _to_examples(mixed, labels, weights, is_generated, only_relabelled)
        if varied:
            found = replace(found, ids=mixed.rows["image_id"].to_list(), parents=_find_parents(mixed))
        if any(arm.placebo.kind != "none" for arm in arms.values()):
            found = replace(found, is_seed=_find_seeds(own["generated_images"], mixed))
        if any(arm.ratio is not None for arm in arms.values()):
            found = replace(found, turns=_take_turns(mixed, only_relabelled))
        if any(getattr(arm.variants, "source", None) == "drawn" for arm in varied):
            accepted = mixed.rows[: len(index) - rejected].filter("is_generated")
            found = replace(
                found, live=_open_live(own["generated_images"], mixed, accepted, derive_seed(seed, generator))
            )
        yield found


def _find_parents(mixed: PixelDataset) -> np.ndarray:
    """The row of each generated image's parent, int64 [n]; -1 for a real image, whose own parent is in the source."""
    rows = {name: row for row, name in enumerate(mixed.rows.filter(~pl.col("is_generated"))["image_id"])}
    generated = mixed.rows["is_generated"].to_list()
    parents = mixed.rows["parent_id"].to_list()
    return np.array([rows[name] if marked else -1 for name, marked in zip(parents, generated, strict=True)], np.int64)


def _take_turns(mixed: PixelDataset, only_relabelled: np.ndarray | None) -> np.ndarray:
    """The place of each accepted generated image within its class, int64 [n]; -1 for others, and -1 for a real one.

    The first images of all parents come first, in the order of the index, then the second ones, and so on. Where images
    have no parents it is the order in which they were drawn.
    """
    marks = mixed.rows["is_generated"].to_numpy()
    counted = np.flatnonzero(marks if only_relabelled is None else marks & ~only_relabelled)
    own = mixed.rows[counted].select("label", "parent_id", "k").with_columns(row=counted)
    own = own.sort("k", maintain_order=True).with_columns(turn=pl.int_range(pl.len()).over("label", "parent_id"))
    own = own.sort("turn", "row").with_columns(place=pl.int_range(pl.len()).over("label"))
    places = np.full(len(mixed), -1, np.int64)
    places[own["row"].to_numpy()] = own["place"].to_numpy()
    return places


def _find_seeds(generated: Path, mixed: PixelDataset) -> np.ndarray | None:
    """Which rows the folder `generated` names as seed images, bool [n]; None where its images have no parents."""
    parents = read_json(generated / ROUNDS).get("parents")
    return None if parents is None else mixed.rows["image_id"].is_in(parents).to_numpy()


def _open_live(generated: Path, mixed: PixelDataset, accepted: pl.DataFrame, seed: int) -> Drawn:
    """What drew the folder `generated`, for draws in a training; accepted: rows of its accepted images."""
    record = read_json(generated / ROUNDS)
    totals = np.sum([entry["drawn"] for entry in record["rounds"]], axis=0).tolist()
    numbers = accepted.sort("k").group_by("parent_id", maintain_order=True).agg("k")
    return Drawn(
        find_kept_sampler(generated),
        seed,
        dict(zip(mixed.rows["image_id"], mixed.rows["label"], strict=True)),
        dict(numbers.iter_rows()),
        dict(zip(record["parents"], totals, strict=True)),
    )


def _to_examples(
    data: PixelDataset,
    labels: np.ndarray,
    weights: np.ndarray,
    is_generated: np.ndarray | None = None,
    only_relabelled: np.ndarray | None = None,
) -> Examples:
    return Examples(to_nchw(data.images), labels, weights, is_generated, only_relabelled)
