"""Seed images on disk: a worker loads only those that its piece needs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from ops.datasets.pixels import read_images, read_rows
from ops.generators.feeds import SeedImages
from ops.generators.units import Unit


@dataclass(frozen=True)
class StoredSeeds:
    """The files of a split of real images, in order; a variant refers to its parent by id."""

    shards: tuple[Path, ...]

    def load(self, units: Sequence[Unit]) -> SeedImages:
        """The parents of `units`, each once. KeyError for an unknown parent; otherwise raises as `read_images` does."""
        parents = {unit.parent: unit.label for unit in units if unit.parent is not None}
        images = read_images(self.shards, [self._rows[name] for name in parents])
        return SeedImages(images, list(parents), np.array(list(parents.values()), np.int64))

    @cached_property
    def _rows(self) -> dict[str, int]:
        return {name: row for row, name in enumerate(read_rows(self.shards)["image_id"])}
