"""Whether images were imagined as asked, and all folds alike: each scorer decides whether it may guide
(`imagination_start`)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ops.files.outputs import IMAGINATION, IMAGINATION_FACTS
from ops.files.storage import read_json

MODE = "imagination"  # of a fold's entry in folds.json: the mode in effect; only where it imagined


def describe_mode(generator_onnx: Path) -> dict[str, str]:
    """The part of a fold's entry that is about imagination; empty for a recipe that does not imagine."""
    path = generator_onnx / IMAGINATION
    return {MODE: read_json(path)["mode"]} if path.exists() else {}


def explain_mode(generator_onnx: Path) -> str | None:
    """Why images are imagined in another mode than the recipe's; None where they are not, or nothing is imagined."""
    path = generator_onnx / IMAGINATION_FACTS
    why: str | None = read_json(path)["why"] if path.exists() else None
    return why


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
