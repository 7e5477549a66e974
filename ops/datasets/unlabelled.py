"""Images without labels that are expanded in the place of labelled ones: where they lie, and who has a label.

Where a recipe names images without labels, the folder of real images holds a second dataset, in a folder of its own:
these images and the labelled ones, all of one class. Its train split has the labelled training images first. Whatever
plans, draws, filters and mixes reads this dataset and needs to know nothing of labels; whatever learns, judges or
publishes asks this module which images have one. Readers get the right folder from `find_growing`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import polars as pl

from ops.datasets.pixels import PixelDataset, build_rows, read_rows
from ops.datasets.shards import find_shards, read_class_names
from ops.errors import UserError

FOLDER = "unlabelled"  # in the folder of real images
CLASS_NAME = "unlabelled"  # of the only class there, and of the last class of what is published
NO_LABEL = -1  # in the place of a label, in memory alone


def find_growing(real_images: Path) -> Path:
    """The dataset that is expanded, in the folder of the stage real_images: the folder itself if all are labelled."""
    return real_images / FOLDER if has_unlabelled(real_images) else real_images


def has_unlabelled(real_images: Path) -> bool:
    """Whether images without labels are expanded."""
    return (real_images / FOLDER).is_dir()


def gather(
    splits: Mapping[str, PixelDataset], images: np.ndarray, ids: Sequence[str], name: str, *, hides_labels: bool = False
) -> dict[str, PixelDataset]:
    """The dataset of one class: train has the images uint8 [n, H, W, C] of the source `name` too.

    ids : of these images, from their content; whichever is in one of the labelled splits too, by content, is left out.
    hides_labels : whether none need be left, because the labelled images themselves are expanded without their labels.
    UserError if none is left else, or if a labelled class has the name that is reserved for images without a label.
    """
    train = splits["train"]
    require_free_name(train.class_names)
    known = {_find_content(one) for dataset in splits.values() for one in dataset.rows["image_id"]}
    kept = np.array([row for row, one in enumerate(ids) if _find_content(one) not in known], np.int64)
    if not len(kept) and not hides_labels:
        raise UserError(f"every image of '{name}' is a labelled image too, so that none without a label is left")
    rows = build_rows(np.zeros(len(kept), np.int64), [ids[row] for row in kept], split="train")
    found = {split: _strip(dataset) for split, dataset in splits.items()}
    pixels = np.concatenate([train.images, images[kept]])
    found["train"] = PixelDataset(pixels, pl.concat([found["train"].rows, rows]), (CLASS_NAME,))
    return found


def require_free_name(class_names: Sequence[str]) -> None:
    """UserError if a labelled class has the name that is reserved for images without a label."""
    if CLASS_NAME in class_names:
        raise UserError(
            f"a class is called '{CLASS_NAME}', which is what images without a label are called; rename it, or remove"
            " data.unlabelled"
        )


def require_probe(splits: Mapping[str, PixelDataset]) -> None:
    """UserError for a labelled split with one class, with which no probe can learn or be judged."""
    for split, dataset in splits.items():
        if len(present := np.unique(dataset.labels)) < 2:
            only = dataset.class_names[int(present[0])]
            raise UserError(
                f"all labelled images of {split} are of class {only}, and a probe needs two classes or more; label"
                " others too"
            )


def find_labels(real_images: Path, rows: pl.DataFrame, splits: Sequence[str] = ("train",)) -> np.ndarray:
    """Labels int64 [n] of images of the dataset that is expanded and of generated ones; NO_LABEL without one.

    rows : with `image_id` and `label`, as they are read from that dataset. splits : those that real ones are of.
    """
    if not has_unlabelled(real_images):
        return rows["label"].to_numpy().copy()
    shards = [path for split in splits for path in find_shards(real_images, split)]
    labelled = read_rows(shards).select("image_id", known="label")
    joined = rows.select("image_id").join(labelled, on="image_id", how="left", maintain_order="left")
    return joined["known"].fill_null(NO_LABEL).to_numpy().copy()


def name_classes(real_images: Path) -> tuple[str, ...]:
    """The class names of what is published: those of the labelled images, then that of images without a label."""
    names = read_class_names(find_shards(real_images, "train")[0]) or ()
    return (*names, CLASS_NAME) if has_unlabelled(real_images) else names


def write_labels(real_images: Path, rows: pl.DataFrame, splits: Sequence[str] = ("train",)) -> pl.DataFrame:
    """The rows of `find_labels` with their labels; those without one have the last of `name_classes`."""
    labels = find_labels(real_images, rows, splits)
    named = np.where(labels == NO_LABEL, len(name_classes(real_images)) - 1, labels)
    return rows.with_columns(pl.Series("label", named, dtype=rows.schema["label"]))


def _strip(dataset: PixelDataset) -> PixelDataset:
    """The same images, all of one class."""
    return PixelDataset(dataset.images, dataset.rows.with_columns(label=pl.lit(0, pl.Int64)), (CLASS_NAME,))


def _find_content(image_id: str) -> str:
    """The content of an image from its id, in which a suffix tells equal images apart."""
    return image_id.partition("-")[0]
