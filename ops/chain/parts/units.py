"""The units of an expansion: its classes, or its real training images as seed images of variants.

If the exported generator takes an image, the units are seed images; otherwise they are classes.
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
from ops.files.manifests import read_manifest
from ops.files.outputs import DRAWN, IMAGINATION, IMAGINED
from ops.generators.diffusion.classes import compare_classes
from ops.generators.drawers import DrawerSpec
from ops.generators.feeds import IMAGE, SeedImages
from ops.generators.registry import find_drawer
from ops.generators.units import Unit, list_classes, list_parents
from ops.planning.hard_seeds import read_chosen
from ops.planning.imagining import SHARE_GROUPS

PIECE_GROUPS = 8  # groups of imagined images in a piece, at least: a crash loses no more, and progress is told as often


def take_seeds(train: PixelDataset) -> SeedImages:
    """The training images as seed images, in memory."""
    return SeedImages(train.images, train.rows["image_id"].to_list(), train.labels)


@dataclass(frozen=True)
class Source:
    """The drawer of a generator's images, and the units by which they are counted.

    seeds, content : for a generator of variants its stored seed images, and a hash of their ids and labels in the order
        of the units, which is the order of a round's counts; of imagined ones also of the scorer. Else None.
    recorded : the file of how each image came about, where the drawer records it: `IMAGINED` where it imagines.
    worker_share, smallest : images that a worker process is worth, and rows of a piece, at least: few of imagined ones,
        of which each takes long; else None.
    """

    drawer: DrawerSpec
    units: tuple[Unit, ...]
    seeds: StoredSeeds | None = None
    content: str | None = None
    recorded: str | None = None
    worker_share: int | None = None
    smallest: int | None = None

    @property
    def parents(self) -> list[str] | None:
        """The seed image of each unit; None where units are classes."""
        return None if self.seeds is None else [unit.parent or "" for unit in self.units]


def find_source(inputs: Mapping[str, Path]) -> Source:
    """The source of one generator's images; `inputs`: folders of the stages real_images, expansion_plan, scorer and
    generator_onnx.

    Of variants the units are the seed images that the plan chose, in each class by rank. UserError for a generator that
    imagines with classes in another order than that of the real images.
    """
    drawer = find_drawer(inputs["generator_onnx"])
    info = drawer.read_info()
    recorded = DRAWN if info.records else None
    if IMAGE not in info.inputs:
        return Source(drawer, list_classes(info.class_names), recorded=recorded)
    shards = tuple(find_shards(inputs["real_images"], "train"))
    rows = read_rows(shards)
    ids, labels = rows["image_id"].to_list(), rows["label"].to_list()
    units, seeds = list_parents(ids, labels), StoredSeeds(shards)
    if (chosen := read_chosen(inputs["expansion_plan"])) is not None:
        # The first units of a class get more images, or all of them where it wants fewer than it has units.
        ranks = {unit: chosen[unit.key] for unit in units if unit.key in chosen}
        units = tuple(sorted(ranks, key=lambda unit: (unit.label, ranks[unit])))
    content = hash_json([[unit.parent, unit.label] for unit in units])
    if not (inputs["generator_onnx"] / IMAGINATION).exists():
        return Source(drawer, units, seeds, content, recorded)
    from ops.chain.parts.imagined_drawer import read_imagined  # loads torch

    named = read_manifest(inputs["real_images"])["metrics"]["class_names"]
    compare_classes(named, info.class_names, "the generator", "the real images")
    imagined = read_imagined(inputs["generator_onnx"], inputs["scorer"], shards)
    scorer = read_manifest(inputs["scorer"])["content"]
    group = imagined.imagining.group
    return Source(
        imagined,
        units,
        seeds,
        hash_json([content, scorer]),
        IMAGINED,
        worker_share=SHARE_GROUPS * group,
        smallest=PIECE_GROUPS * group,
    )


def list_units(record: Mapping[str, Any], class_names: Sequence[str], real: Path) -> tuple[Unit, ...]:
    """The units that a rounds.json counts; `real` is the folder of the stage real_images, which holds the parents.

    KeyError if a parent is not among the training images.
    """
    if (parents := record.get("parents")) is None:
        return list_classes(class_names)
    rows = read_rows(find_shards(real, "train"))
    labels = dict(zip(rows["image_id"], rows["label"], strict=True))
    return tuple(Unit(name, labels[name], name) for name in parents)
