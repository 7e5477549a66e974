"""Finished trainings, kept for every recipe that asks for the same one again.

Two recipes on one source have the same baselines, and a recipe that gains an arm keeps its others. A training is found
under the hash of all that determines its network and its answers: pixels, labels, weights, the arm, the budget, the
seed, the teachers' networks, the pool, the prior's encoder, device, number format, processor and library versions. It
knows nothing of stages: what changes their code is `version`. The folder is a cache. Deleting it, or a file in it,
costs time and nothing else.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ops.classifiers.examples import Examples
from ops.files.hashing import hash_file, hash_json
from ops.files.storage import link_file
from ops.generators.folder import CONFIG, WEIGHTS
from ops.machine.environment import describe_environment
from ops.recipe.arms import Arm
from ops.recipe.ingredients.variants import GitVariants
from ops.recipe.pool_arms import learns_from_pool, needs_encoder

LIMIT = 2 << 30  # bytes of all files; those that were not used for longest are deleted
SUFFIX = ".safetensors"


@dataclass(frozen=True)
class KeptTrainings:
    """A folder of finished trainings; version: of the code that trains, so that changed code finds none."""

    folder: Path
    version: str
    limit: int = LIMIT

    def name(self, facts: Mapping[str, Any]) -> str:
        """The key of a training; facts: all that determines it beside this machine, JSON-ready."""
        return hash_json({"version": self.version, "environment": describe_environment(), **facts})

    def take(self, key: str, target: Path) -> bool:
        """Link a kept training to `target`; False if there is none, or if its bytes are no longer what was kept."""
        for path in self.folder.glob(f"{key}-*{SUFFIX}"):
            with suppress(FileNotFoundError):  # another process deleted it meanwhile
                if hash_file(path) != path.stem.partition("-")[2]:
                    path.unlink()
                    continue
                os.utime(path)
                link_file(path, target)
                return True
        return False

    def keep(self, key: str, path: Path) -> None:
        """Keep the finished training in `path`."""
        self.folder.mkdir(parents=True, exist_ok=True)
        link_file(path, self.folder / f"{key}-{hash_file(path)}{SUFFIX}")

    def prune(self) -> None:
        """Delete the files that were not used for longest, until the rest is within the limit."""
        found = []
        for path in self.folder.glob(f"*{SUFFIX}"):
            with suppress(FileNotFoundError):
                facts = path.stat()
                found.append((facts.st_mtime_ns, facts.st_size, path))
        used = 0
        for _, size, path in sorted(found, reverse=True):
            used += size
            if used > self.limit:
                path.unlink(missing_ok=True)


# Of examples: what only arms see that learn from a pool, are placebos, or have a ratio of their own.
OF_SOME = ("pool", "known", "is_seed", "turns")


def is_determined(arm: Arm, examples: Examples) -> bool:
    """Whether the examples' arrays and the arm's settings are all that an arm sees: no variants from a network."""
    return not isinstance(arm.variants, GitVariants) or (examples.live is None and examples.oracle is None)


def hash_examples(examples: Examples, arm: Arm) -> str:
    """sha256 hex of what an arm sees of a training set: the images that weigh something for it, their labels, weights
    and marks. An arm that shows variants sees also the images' keys and parents, so for it all rows count. The images
    without labels count where the arm learns from them, the prior's weights where it begins with its encoder, and the
    seed images where it is a placebo made of them."""
    found, beside = _hash_labelled(examples, arm), dict[str, str]()
    if learns_from_pool(arm):
        beside["pool"] = hash_arrays({"images": examples.find_pool(arm)})
    if arm.placebo.kind != "none" and examples.is_seed is not None:
        beside["seeds"] = hash_arrays({"marks": examples.is_seed[examples.weigh(arm) > 0]})
    if needs_encoder(arm):
        assert examples.prior is not None, "the examples were read for other arms"
        beside["prior"] = hash_json([hash_file(examples.prior / name) for name in (CONFIG, WEIGHTS)])
    return hash_json([found, beside]) if beside else found


def _hash_labelled(examples: Examples, arm: Arm) -> str:
    if isinstance(arm.variants, GitVariants):
        values = {field.name: getattr(examples, field.name) for field in fields(examples) if field.name not in OF_SOME}
        arrays = {name: value for name, value in values.items() if isinstance(value, np.ndarray)}
        return hash_json([hash_arrays(arrays), list(examples.ids)])
    weights, marks = examples.weigh(arm), examples.is_generated
    rows = np.flatnonzero(weights > 0)
    seen = {"images": examples.images[rows], "labels": examples.labels[rows], "weights": weights[rows]}
    # Without the marks of an arm that sees no generated image: its training is that of the real images alone.
    return hash_arrays(seen if marks is None or not marks[rows].any() else {**seen, "marks": marks[rows]})


def name_hardware(device: str) -> str:
    """The device with its model, where it is a GPU; `describe_environment` names the processor."""
    return f"{device} {torch.cuda.get_device_name(device)}" if device.startswith("cuda") else device


def hash_arrays(arrays: Mapping[str, np.ndarray]) -> str:
    """sha256 hex of named arrays: names, types, shapes and values."""
    digest = hashlib.sha256()
    for name, array in arrays.items():
        digest.update(f"{name} {array.dtype.str} {array.shape} ".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()
