"""The units of an expansion: its classes, or its real training images as seed images of which variants are made.

Which of both follows from the exported generator: whether it takes an image.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ops.datasets.pixels import PixelDataset, read_rows
from ops.datasets.shards import find_shards
from ops.drawing.stored_seeds import StoredSeeds
from ops.files.hashing import hash_json
from ops.generators.drawers import DrawerSpec
from ops.generators.feeds import IMAGE, SeedImages
from ops.generators.registry import find_drawer
from ops.generators.units import Unit, list_classes, list_parents


def take_seeds(train: PixelDataset) -> SeedImages:
    """The training images as seed images, in memory."""
    return SeedImages(train.images, train.rows["image_id"].to_list(), train.labels)


@dataclass(frozen=True)
class Source:
    """What a generator's images are drawn with and counted by.

    seeds, content : of a generator of variants, where its seed images lie, and what they are: a hash of their ids and
        labels in the order of the units, which the counts of a round follow.
    """

    drawer: DrawerSpec
    units: tuple[Unit, ...]
    seeds: StoredSeeds | None = None
    content: str | None = None

    @property
    def parents(self) -> list[str] | None:
        """The seed image of each unit; None where units are classes."""
        return None if self.seeds is None else [unit.parent or "" for unit in self.units]


def find_source(inputs: Mapping[str, Path]) -> Source:
    """The source of one generator's images; `inputs` are the folders of the stages real_images and generator_onnx."""
    drawer = find_drawer(inputs["generator_onnx"])
    info = drawer.read_info()
    if IMAGE not in info.inputs:
        return Source(drawer, list_classes(info.class_names))
    shards = tuple(find_shards(inputs["real_images"], "train"))
    rows = read_rows(shards)
    ids, labels = rows["image_id"].to_list(), rows["label"].to_list()
    units = list_parents(ids, labels)
    return Source(drawer, units, StoredSeeds(shards), hash_json([[unit.parent, unit.label] for unit in units]))


def list_units(record: Mapping[str, Any], class_names: Sequence[str], real: Path) -> tuple[Unit, ...]:
    """The units whose draws a rounds.json counts; `real` is the folder of real images that parents are among.

    KeyError for a parent that is none of them.
    """
    if (parents := record.get("parents")) is None:
        return list_classes(class_names)
    rows = read_rows(find_shards(real, "train"))
    labels = dict(zip(rows["image_id"], rows["label"], strict=True))
    return tuple(Unit(name, labels[name], name) for name in parents)
