"""Workspaces in which images without labels are expanded: other digits beside some labelled zeros and ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from tests.priors import change_recipe, pool_images, write_pool
from tests.workspaces import digit_splits, make_workspace

SIMCLR: dict[str, Any] = {"trainer": {"kind": "simclr", "batch_size": 24}, "strength": 0.4}
RECIPE: dict[str, Any] = {
    "data": {"images_per_class": 16, "unlabelled": "others"},
    "plan": {"ratio": 0.5, "overdraw": 2.0, "rounds": 1},
    "filter": dict.fromkeys(("wrong_label", "near_copy", "near_repeat", "atypical", "blank", "saturated")),
    "baselines": {"real": {}, "simclr": SIMCLR},
    "expanded": {"inflated": {**SIMCLR, "real_weight": 1.0}, "adainf": {**SIMCLR, "real_weight": 10.0}},
}
COPIES = 5  # test images, and as many labelled training images, that lie among those without labels


def unlabelled_images() -> np.ndarray:
    """uint8 [n, 16, 16, 1]: 120 other digits, and COPIES images each of train and test."""
    splits = digit_splits()
    return np.concatenate([pool_images(), splits["train"].images[:COPIES], splits["test"].images[:COPIES]])


def make_unlabelled_workspace(root: Path, expansions: tuple[str, ...] = ("digits",)) -> Path:
    """A workspace of `make_workspace` whose expansions grow images without labels."""
    make_workspace(root, expansions)
    write_pool(root, unlabelled_images())
    for name in expansions:
        change_recipe(root, name, **RECIPE)
    return root
