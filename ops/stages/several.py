"""Where the outputs of several generators of one recipe are stored, and the metrics and manifest of each.

Generator 0 uses a stage's folder as a single generator would, so code for one generator works on it. Generator g >= 1
uses `generators/<g>` of the same folder, with the same layout. The manifest describes the whole folder: its metrics
are totals, with those of each generator under `generators`. This module does not know what the stages compute.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ops.files.manifests import MANIFEST, join_hashes, read_manifest

GENERATORS = "generators"  # the folder, and the key of a manifest's metrics
STAGES_OF_EACH = ("generator", "generator_onnx", "generated_images", "accepted_images", "mixed_dataset")


def place(folder: Path, generator: int) -> Path:
    """The folder of generator number `generator`, from 0, in the folder of a stage that runs for each generator."""
    return folder / GENERATORS / str(generator) if generator else folder


def place_inputs(inputs: Mapping[str, Path], generator: int) -> dict[str, Path]:
    """The folders by stage that belong to `generator`: stages that run once have one folder for all generators."""
    return {stage: place(folder, generator) if stage in STAGES_OF_EACH else folder for stage, folder in inputs.items()}


def count_generators(folder: Path) -> int:
    """How many generators a stage's folder holds; 1 where the stage runs once."""
    others = folder / GENERATORS
    return 1 + (len(list(others.iterdir())) if others.is_dir() else 0)


def find_root(folder: Path) -> tuple[Path, int]:
    """The folder whose manifest covers `folder`, and the number of the generator that `folder` belongs to."""
    if folder.parent.name == GENERATORS and folder.name.isdecimal() and (folder.parents[1] / MANIFEST).is_file():
        return folder.parents[1], int(folder.name)
    return folder, 0


def read_part(folder: Path) -> dict[str, Any]:
    """The manifest reduced to one generator's folder: its files, their joint content hash and its metrics.

    UserError if the manifest is missing.
    """
    root, number = find_root(folder)
    manifest = read_manifest(root)
    if GENERATORS not in manifest["metrics"]:
        return manifest
    files = {
        name.removeprefix(f"{GENERATORS}/{number}/"): entry
        for name, entry in manifest["files"].items()
        if (name.startswith(f"{GENERATORS}/{number}/") if number else not name.startswith(f"{GENERATORS}/"))
    }
    return {
        **manifest,
        "files": files,
        "content": join_hashes(files),
        "metrics": manifest["metrics"][GENERATORS][number],
    }


def derive_seed(seed: int, generator: int) -> int:
    """The seed of a generator's training and noise, 0 <= seed < 2^31: the recipe's own for generator 0.

    It is a hash, so that generators of recipes with neighbouring seeds do not share their noise.
    """
    if not generator:
        return seed
    return int.from_bytes(hashlib.sha256(f"{seed}/generator/{generator}".encode()).digest()[:4], "big") >> 1


def assign_generators(seeds: int, generators: int) -> list[int]:
    """The generator whose images each classifier seed is trained on, in order: seed s takes s mod `generators`."""
    return [seed % generators for seed in range(seeds)]


def join_metrics(each: Sequence[Mapping[str, Any]], summed: Sequence[str]) -> dict[str, Any]:
    """Joint metrics of several generators: those named in `summed` are added, other numbers are averaged.

    A value that is not a number is kept if all generators have the same; a flag is True if all are True. Each
    generator's own metrics follow under `generators`.
    """
    total: dict[str, Any] = {}
    for key in each[0]:
        values = [metrics.get(key) for metrics in each]
        if key in summed:
            total[key] = _add(values)
        elif all(value == values[0] for value in values):
            total[key] = values[0]
        elif all(isinstance(value, bool) for value in values):
            total[key] = False
        elif all(isinstance(value, int | float) for value in values):
            total[key] = round(sum(values) / len(values), 6)  # type: ignore[arg-type]
    return {**total, GENERATORS: [dict(metrics) for metrics in each]}


def _add(values: Sequence[Any]) -> Any:
    """The sum of numbers, or the sum key by key of mappings to numbers."""
    if not isinstance(values[0], Mapping):
        return sum(values)
    keys = dict.fromkeys(key for value in values for key in value)
    return {key: sum(value.get(key, 0) for value in values) for key in keys}
