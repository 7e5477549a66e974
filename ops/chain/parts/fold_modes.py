"""Whether all folds were imagined alike: each decides by its own scorer whether it may guide (`imagination_start`)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ops.files.outputs import IMAGINATION
from ops.files.storage import read_json

MODE = "imagination"  # of a fold's entry in folds.json: the mode in effect; only where it imagined


def describe_mode(generator_onnx: Path) -> dict[str, str]:
    """The part of a fold's entry that is about imagination; empty for a recipe that does not imagine."""
    path = generator_onnx / IMAGINATION
    return {MODE: read_json(path)["mode"]} if path.exists() else {}


def tell_mixture(folds: Sequence[Mapping[str, Any]]) -> str | None:
    """A sentence on entries of folds.json that were imagined in different modes; None if all were imagined alike."""
    modes = Counter(entry[MODE] for entry in folds if MODE in entry)
    if len(modes) < 2:
        return None
    told = ", ".join(f"{mode} in {count} of {sum(modes.values())}" for mode, count in modes.most_common())
    return (
        f"The folds were not imagined alike, because the scorer is near chance in some: mode {told}; so the verdict is"
        " on a mixture."
    )
