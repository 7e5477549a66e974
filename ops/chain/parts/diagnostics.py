"""Figures that trainers find on the way, of all seeds of an arm: the mean, and a line for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ops.classifiers.contrastive.diagnostics import NEIGHBOURS, ONLINE
from ops.classifiers.runs import Result

NAMES = {ONLINE: "online probe", NEIGHBOURS: "nearest neighbours"}


def average_diagnostics(results: Sequence[Result]) -> dict[str, float]:
    """The mean over an arm's runs of each figure; {} where its trainer finds none."""
    names = results[0].diagnostics
    return {name: round(float(np.mean([result.diagnostics[name] for result in results])), 6) for name in names}


def describe_diagnostics(arm: str, summary: Mapping[str, Any]) -> str:
    """`simclr: offline probe 78.1 %, online probe 76.0 %, nearest neighbours 74.2 % on validation`."""
    parts = [f"{NAMES[name]} {100 * value:.1f} %" for name, value in summary["diagnostics"].items()]
    return f"{arm}: offline probe {100 * summary['validation']:.1f} %, {', '.join(parts)} on validation"
