"""What the report says of the accepted images as a set: the metrics of quality.json, arranged for a table."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from ops.files.outputs import QUALITY
from ops.files.storage import read_json

MEANINGS = {
    "FD": ("Fréchet distance", "low is good"),
    "KID": ("KID", "near 0 is good"),
    "precision": ("Precision", "share of generated images where real ones are"),
    "recall": ("Recall", "share of real images where generated ones are"),
    "density": ("Density", "about 1 as real images have it"),
    "coverage": ("Coverage", "share of real images with a generated one near"),
    "authenticity": ("Authenticity", "share that is not nearer to a training image than its neighbours are"),
    "vendi": ("Vendi score", "effective number of different images"),
}


def collect_measures(accepted: Path, class_names: Sequence[str]) -> dict[str, Any]:
    """The metrics in the folder of the stage accepted_images."""
    return describe_measures(read_json(accepted / QUALITY), class_names)


def describe_measures(measures: Sequence[dict[str, Any]], class_names: Sequence[str]) -> dict[str, Any]:
    """Extractors, and one row a metric with a cell for each, overall and per class; cells without a value say why."""
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
