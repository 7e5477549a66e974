"""The images that an expansion took from its source, as the pictures of an inspection. Test images are not opened."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ops.datasets.pixels import PixelDataset
from ops.datasets.units import list_keys
from ops.inspection.opening import Counts, Pictures, share_limit, shrink

MOST = 10_000  # images that are looked at


def take_pictures(splits: Mapping[str, PixelDataset], groups: Mapping[str, int]) -> tuple[Pictures, Counts]:
    """At most MOST images of the splits, large splits thinned evenly, named by their ids; and the counts of all.

    groups: as `ops.datasets.units.read_groups` gives them.
    """
    sizes = np.array([len(dataset) for dataset in splits.values()])
    most = share_limit(sizes, MOST)
    chosen = {
        split: dataset.select(np.unique(np.linspace(0, len(dataset) - 1, min(most, len(dataset))).astype(np.int64)))
        for split, dataset in splits.items()
    }
    names = next(iter(splits.values())).class_names
    ids = [name for dataset in chosen.values() for name in dataset.rows["image_id"]]
    keys = [key for dataset in chosen.values() for key in list_keys(dataset.rows)]
    images = np.concatenate([dataset.images for dataset in chosen.values()])
    pictures = Pictures(
        np.stack([shrink(image) for image in images]),
        np.concatenate([dataset.labels for dataset in chosen.values()]),
        np.repeat(np.array(list(chosen), dtype="<U10"), [len(dataset) for dataset in chosen.values()]),
        [name.partition("-")[0] for name in ids],  # content; the rest numbers equal images
        ids,
        [(images.shape[2], images.shape[1])] * len(images),
        ["L" if images.shape[3] == 1 else "RGB"] * len(images),
        units=np.array([groups[key] for key in keys], np.int64) if groups else None,
    )
    counted = [np.bincount(dataset.labels, minlength=len(names)) for dataset in splits.values()]
    return pictures, Counts(names, tuple(splits), np.stack(counted, axis=1))
