"""Tiny stand-ins for the published data sets that shipped recipes are about: few images, under the same names of files.

`RECIPES` names the recipes, `write_images` writes the files where a shipped description looks for them.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from tests.sources import (
    Truth,
    make_cifar,
    make_cifar100,
    make_gtsrb,
    make_kuzushiji,
    make_tiny_imagenet,
    make_truth,
)

RECIPES = {  # with the sources that they read
    "k49-rot-lt": "k49",
    "k49-bg-lt": "k49",
    "k49-dil-lt": "k49",
    "gtsrb-lt": "gtsrb",
    "cifar10-lt": "cifar10",
    "cifar100-lt": "cifar100",
    "tiny-imagenet-lt": "tiny-imagenet",
}
FOLDERS = {  # what the archives unpack to
    "k49": "k49",
    "gtsrb": "gtsrb",
    "cifar10": "cifar-10-batches-bin",
    "cifar100": "cifar-100-binary",
    "tiny-imagenet": "tiny-imagenet-200",
}
SHAPES = {"k49": (28, 28, 1), "gtsrb": (32, 32, 3), "cifar10": (32, 32, 3), "cifar100": (32, 32, 3)}
SHAPES |= {"tiny-imagenet": (64, 64, 3)}
CLASSES = {"k49": 49, "gtsrb": 43, "cifar10": 10, "cifar100": 100, "tiny-imagenet": 20}  # the last has 200
PER_CLASS = {"k49": 10, "gtsrb": 8, "cifar10": 10, "cifar100": 10, "tiny-imagenet": 5}  # of train, and as many of test
SIDES = {"k49": 28, "gtsrb": 15, "cifar10": 32, "cifar100": 32, "tiny-imagenet": 64}  # as they are stored


def write_images(root: Path, source: str, classes: int | None = None) -> Truth:
    """Write the files of a source below `root`/datasets; returns their images and labels by split."""
    classes = classes or CLASSES[source]
    truth = make_truth(grey=source == "k49", per_class=PER_CLASS[source], side=SIDES[source], classes=classes)
    names = [f"class {label}" for label in range(classes)]
    makers: dict[str, Callable[[Path, Truth], dict[str, Any]]] = {
        "k49": make_kuzushiji,
        "gtsrb": make_gtsrb,
        "cifar10": partial(make_cifar, names=names),
        "cifar100": partial(make_cifar100, names=names),
        "tiny-imagenet": partial(make_tiny_imagenet, names=names),
    }
    makers[source](root / "datasets" / FOLDERS[source], truth)
    return truth
