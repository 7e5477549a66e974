"""Read a described source as a pool: all its training images, without labels, in the size and channels of others.

Validation and test images of the source do not belong to the pool, also where the description draws these splits. A
pool may be a folder of images without class folders. The module does not know what a pool is for.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ops.datasets.identity import content_ids, number_repeats
from ops.datasets.png import name_shape
from ops.errors import UserError
from ops.sources.conversion import Converter
from ops.sources.layouts import LAYOUTS
from ops.sources.layouts.folder import list_loose, list_loose_files
from ops.sources.listing import Listing
from ops.sources.reading import hash_files, load_images, read_source
from ops.sources.spec import SourceSpec
from ops.sources.splitting import LoadedSplit, keep_undrawn

Shape = tuple[int, int, int]
OWN = ("fit", "background")  # keys that a pool takes over from the labelled images' source, unless it has them
PROBED = 16  # images that are opened at first where one is looked for; then twice as many, again and again


@dataclass(frozen=True, eq=False)
class PoolImages:
    """Images uint8 [n, H, W, C], an id for each, from its content, and how many were converted, by kind of change."""

    images: np.ndarray
    ids: list[str]
    conversions: Mapping[str, int]

    def __len__(self) -> int:
        return len(self.images)


def adapt(spec: SourceSpec, labelled: SourceSpec) -> SourceSpec:
    """The description of a pool, with the conversion of the labelled images where it says nothing else: an image that
    both have then has the same pixels in both. Its size is that of the images that it is read for."""
    taken = {key: getattr(labelled, key) for key in OWN if key not in spec.model_fields_set}
    return spec.model_copy(update={**taken, "size": None})


def list_pool_files(spec: SourceSpec) -> list[Path]:
    """All files that hold images of the pool. Raises as `Layout.list_files`."""
    loose = list_loose_files(spec)
    return LAYOUTS[spec.kind].list_files(spec) if loose is None else loose


def hash_pool(spec: SourceSpec, cache: Path | None = None) -> str:
    """As `hash_source`, of an adapted description: SHA-256 of all that decides the pool's images but their size."""
    return hash_files(spec, list_pool_files(spec), cache)


def count_pool(spec: SourceSpec) -> int:
    """Images of the pool before splits are drawn from them; no image is opened."""
    return len(_list_train(spec).labels)


def read_pool(spec: SourceSpec, shape: Shape) -> PoolImages:
    """The images of a pool in `shape` (height, width, channels).

    Where that is square, they are made square and resized, as for a source with a `size`. Grey images get three equal
    channels for colour; colour images are not made grey.

    Raises
    ------
    UserError : the pool is empty, or its images cannot be brought to this shape; else as `read_source`.
    """
    spec = _resize(spec, shape)
    converter = Converter(spec)
    if spec.skip_copies:  # later splits decide what is left out
        read = read_source(spec)
        images, conversions = read.splits["train"].images, read.conversions
    else:
        part = _load_train(spec, converter)
        converter.require_depth()
        images, conversions = part.stack.images, dict(sorted(converter.counts.items()))
    if not len(images):
        raise UserError(f"the pool '{spec.name}' is empty: {spec.root} has no training images")
    images = _fit(spec, images, shape)
    return PoolImages(images, number_repeats(content_ids(images)), conversions)


def has_others(spec: SourceSpec, shape: Shape, known: Collection[str]) -> bool:
    """Whether some image of the pool in `shape`, before splits are drawn from it, has none of these content ids.

    Images are opened until one is found, as a rule among the first ones. Raises as `read_pool` for those.
    """
    spec = _resize(spec, shape)
    listing = _list_train(spec)
    count, start, step = len(listing.labels), 0, PROBED
    while start < count:
        rows = np.arange(start, min(start + step, count))
        images = load_images(spec, listing, rows, listing.labels[rows], Converter(spec), None).stack.images
        if len(images) and not set(content_ids(_fit(spec, images, shape))).issubset(known):
            return True
        start, step = start + step, 2 * step
    return False


def _resize(spec: SourceSpec, shape: Shape) -> SourceSpec:
    """The description with the size of square images."""
    return spec.model_copy(update={"size": shape[0]}) if shape[0] == shape[1] else spec


def _fit(spec: SourceSpec, images: np.ndarray, shape: Shape) -> np.ndarray:
    """The images with as many channels as `shape` has; UserError for any that cannot have that shape."""
    if images.shape[3] == 1 < shape[2]:
        images = np.repeat(images, shape[2], axis=3)
    if images.shape[1:] != shape:
        raise UserError(
            f"the pool '{spec.name}' has images of {name_shape(images.shape[1:])}, the labelled ones are"
            f" {name_shape(shape)}: {_explain(images.shape[1:], shape)}"
        )
    return images


def _explain(found: tuple[int, ...], wanted: Shape) -> str:
    if found[:2] != wanted[:2]:
        return "images that are not square are not resized; store the pool's images in that size"
    return "colour is not made grey; store the pool's images as grey ones, or the labelled ones in colour"


def _list_train(spec: SourceSpec) -> Listing:
    """The training images. UserError if there are none, else raises as the layout."""
    if (loose := list_loose(spec)) is not None:
        return loose
    listings = LAYOUTS[spec.kind].list_splits(spec)
    if "train" not in listings:
        raise UserError(f"the pool '{spec.name}' is empty: {spec.root} has no training images")
    return listings["train"]


def _load_train(spec: SourceSpec, converter: Converter) -> LoadedSplit:
    """The decoded training images without those that a drawn split takes."""
    listing = _list_train(spec)
    part = load_images(spec, listing, np.arange(len(listing.labels)), listing.labels, converter, None)
    return part if spec.split is None else keep_undrawn(spec.split, part, listing.class_names)
