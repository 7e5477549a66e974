"""Trained classifiers on disk: weights in one safetensors file, and in its metadata the description of the network.

A file holds one network for each seed of an arm, keyed `<seed>/<parameter>`. A network is built from its description
when it is loaded, never from the shapes of its weights.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from ops.classifiers.networks.classifier import Classifier, build_classifier
from ops.files.storage import replace_file

DESCRIPTION = "network"  # the only metadata entry: with several, their order in the file would be random


def save_classifiers(path: Path, states: Mapping[int, Mapping[str, Tensor]], description: Mapping[str, Any]) -> None:
    """Write the weights of networks with the same description, by seed. Atomic."""
    tensors = {f"{seed}/{key}": value.contiguous() for seed, state in states.items() for key, value in state.items()}
    with replace_file(path) as temporary:
        save_file(tensors, temporary, metadata={DESCRIPTION: json.dumps(description, sort_keys=True)})


def load_classifier(path: Path, seed: int) -> Classifier:
    """The network of one seed, in evaluation mode."""
    prefix = f"{seed}/"
    with safe_open(path, framework="pt") as file:
        description = json.loads(file.metadata()[DESCRIPTION])
        state = {key.removeprefix(prefix): file.get_tensor(key) for key in file.keys() if key.startswith(prefix)}  # noqa: SIM118
    model = build_classifier(description)
    model.load_state_dict(state)
    return model.eval()


def load_classifiers(path: Path) -> list[Classifier]:
    """The networks of all seeds, in the order of the seeds, in evaluation mode."""
    with safe_open(path, framework="pt") as file:
        seeds = {int(key.partition("/")[0]) for key in file.keys()}  # noqa: SIM118
    return [load_classifier(path, seed) for seed in sorted(seeds)]
