"""The seed images of an expansion: its real training images, for generators that make variants."""

from __future__ import annotations

from ops.datasets.pixels import PixelDataset
from ops.generators.feeds import SeedImages


def take_seeds(train: PixelDataset) -> SeedImages:
    """The training images as seed images."""
    return SeedImages(train.images, train.rows["image_id"].to_list(), train.labels)
