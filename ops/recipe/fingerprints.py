"""Fingerprints: the identity of a stage's intent (its keys, its version, its inputs' contents)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ops.recipe.schema import Recipe
from ops.recipe.stages import STAGES


def hash_json(value: Any) -> str:
    """sha256 hex of a JSON value in canonical form."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def hash_file(path: Path) -> str:
    """sha256 hex of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def stage_settings(recipe: Recipe, stage: str) -> dict[str, Any]:
    """The recipe keys that `stage` reads, with defaults filled in, JSON-ready."""
    resolved = recipe.model_dump(mode="json")
    return {key: resolved[key] for key in STAGES[stage].keys}


def stage_fingerprint(stage: str, version: int, settings: Mapping[str, Any], inputs: Mapping[str, str]) -> str:
    """Equal for equal settings, version and input contents; nothing of later stages enters.

    Parameters
    ----------
    settings : `stage_settings`.
    inputs : content hash of each input, by its name.
    """
    return hash_json({"stage": stage, "version": version, "settings": settings, "inputs": inputs})
