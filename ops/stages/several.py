"""Where the outputs of several generators of one recipe lie, and how one of them is told.

Generator 0 lies in a stage's folder as an only generator would, so that everything that knows one works on it.
Generator g >= 1 lies in `generators/<g>` of the same folder, laid out alike. The manifest is of the whole folder: its
metrics are totals, and those of each generator stand under `generators`. What the stages compute is their business.
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
    """Where generator `generator`, from 0, lies in the folder of a stage that is made for each."""
    return folder / GENERATORS / str(generator) if generator else folder


def place_inputs(inputs: Mapping[str, Path], generator: int) -> dict[str, Path]:
    """Folders by stage, as `generator` sees them: what is made once is the same for all."""
    return {stage: place(folder, generator) if stage in STAGES_OF_EACH else folder for stage, folder in inputs.items()}


def count_generators(folder: Path) -> int:
    """How many generators lie in a stage's folder; 1 where nothing is told apart."""
    others = folder / GENERATORS
    return 1 + (len(list(others.iterdir())) if others.is_dir() else 0)


def find_root(folder: Path) -> tuple[Path, int]:
    """The folder whose manifest describes `folder`, and the number of the generator that lies in `folder`."""
    if folder.parent.name == GENERATORS and folder.name.isdecimal() and (folder.parents[1] / MANIFEST).is_file():
        return folder.parents[1], int(folder.name)
    return folder, 0


def read_part(folder: Path) -> dict[str, Any]:
    """The manifest of what lies at a place: that generator's files, their joint content hash and its metrics.

    UserError where there is none, as for a whole folder.
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

    It is a hash, so that no generator shares its draws with one of a recipe with a neighbouring seed.
    """
    if not generator:
        return seed
    return int.from_bytes(hashlib.sha256(f"{seed}/generator/{generator}".encode()).digest()[:4], "big") >> 1


def assign_generators(seeds: int, generators: int) -> list[int]:
    """The generator that each of a classifier's seeds takes, in their order: seed s takes s mod `generators`."""
    return [seed % generators for seed in range(seeds)]


def join_metrics(each: Sequence[Mapping[str, Any]], summed: Sequence[str]) -> dict[str, Any]:
    """The metrics of several generators as one: those named in `summed` are added, other numbers averaged.

    A value that is not a number is kept if all agree; a flag is set if all set it. Each generator's own metrics follow
    under `generators`.
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
    """The sum of numbers, or of mappings to numbers key by key."""
    if not isinstance(values[0], Mapping):
        return sum(values)
    keys = dict.fromkeys(key for value in values for key in value)
    return {key: sum(value.get(key, 0) for value in values) for key in keys}
