"""The report's table on the accepted images as a set, from the metrics in quality.json."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from ops.files.outputs import QUALITY
from ops.files.storage import read_json

MEANINGS = {
    "FD": ("Fréchet distance", "lower is better"),
    "KID": ("KID", "closer to 0 is better"),
    "precision": ("Precision", "share of generated images within the real distribution"),
    "recall": ("Recall", "share of real images within the generated distribution"),
    "density": ("Density", "about 1 for real images"),
    "coverage": ("Coverage", "share of real images with a generated one nearby"),
    "authenticity": ("Authenticity", "share not closer to a training image than that image’s nearest neighbour"),
    "vendi": ("Vendi score", "effective number of different images"),
}


def collect_measures(accepted: Path, class_names: Sequence[str]) -> dict[str, Any]:
    """The metrics in the folder of the stage accepted_images."""
    return describe_measures(read_json(accepted / QUALITY), class_names)


def describe_measures(measures: Sequence[dict[str, Any]], class_names: Sequence[str]) -> dict[str, Any]:
    """The extractors, and one row per metric with a cell for each, overall and per class.

    A cell without a value holds the number of images, which was too small.
    """
    extractors = list(dict.fromkeys(measure["extractor"] for measure in measures))
    parts = []
    for label, found in groupby(sorted(measures, key=_order), key=lambda measure: measure["label"]):
        cells = {(measure["metric"], measure["extractor"]): measure for measure in found}
        rows = [
            {"title": title, "meaning": meaning, "cells": [cells[metric, extractor] for extractor in extractors]}
            for metric, (title, meaning) in MEANINGS.items()
        ]
        parts.append({"name": None if label is None else class_names[label], "rows": rows})
    return {"extractors": extractors, "whole": parts[0], "classes": parts[1:]}


def _order(measure: dict[str, Any]) -> int:
    return -1 if measure["label"] is None else int(measure["label"])
