"""Tango's icons of 32 pixels by what they are for: few, uneven, transparent, without splits."""

from __future__ import annotations

import numpy as np
from PIL import Image

from benchmarks.sources import packages
from benchmarks.sources.drawn import Drawn, Labelled, keep_distinct

CATEGORIES = ("actions", "apps", "devices", "mimetypes", "status")


def draw_icons() -> Drawn:
    """Each icon once, links to it left out: uint8 [n, 32, 32, 4]."""
    root = packages.require(packages.ICONS, "tango-icon-theme")
    images, labels = [], []
    for label, category in enumerate(CATEGORIES):
        for path in sorted((root / category).glob("*.png")):
            if not path.is_symlink():
                images.append(np.asarray(Image.open(path).convert("RGBA")))
                labels.append(label)
    return Drawn(CATEGORIES, {"train": keep_distinct(Labelled(np.stack(images), np.array(labels, np.int64)))})
