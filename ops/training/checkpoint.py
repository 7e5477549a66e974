"""What a training keeps on disk: a checkpoint that it resumes from, and the weights of its best moment.

A checkpoint is one safetensors file. It holds the network's weights, their average and the optimizers' moments; the
training's state is its metadata. Files appear whole or not at all.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.optim import Optimizer

from ops.files.storage import replace_file
from ops.training.state import Observation, TrainingState

CHECKPOINT, BEST = "training.safetensors", "best.safetensors"


@dataclass(frozen=True)
class Checkpoints:
    """Where a training is kept, how often, and who judges it then.

    folder : of the checkpoint and of the best weights; a training that finds them there goes on from them.
    count : checkpoints in a training, the last one at its end.
    observe : called with the averaged weights in the network, after so many steps; the best observation's weights win.
    """

    folder: Path
    count: int = 4
    observe: Callable[[int], Observation] = lambda step: Observation(-step)

    def find_interval(self, steps: int) -> int:
        """Steps between two checkpoints."""
        return max(1, -(-steps // self.count))


def save_checkpoint(
    path: Path,
    network: nn.Module,
    average: Mapping[str, Tensor],
    optimizers: Sequence[Optimizer],
    state: TrainingState,
) -> None:
    """Write everything that a training needs to go on."""
    tensors = {f"model/{name}": value for name, value in network.state_dict().items()}
    tensors |= {f"average/{name}": value for name, value in average.items()}
    for number, optimizer in enumerate(optimizers):
        for index, moments in optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer/{number}/{index}/{name}": value for name, value in moments.items()}
    save_weights(path, tensors, {"progress": json.dumps(vars(state))})


def load_checkpoint(
    path: Path, network: nn.Module, average: Mapping[str, Tensor], optimizers: Sequence[Optimizer]
) -> TrainingState:
    """Restore everything that `save_checkpoint` wrote, in place; returns the state."""
    tensors = load_file(path)
    network.load_state_dict({k.removeprefix("model/"): v for k, v in tensors.items() if k.startswith("model/")})
    for name, value in average.items():
        value.copy_(tensors[f"average/{name}"])
    moments: list[dict[int, dict[str, Tensor]]] = [{} for _ in optimizers]
    for key, value in tensors.items():
        if key.startswith("optimizer/"):
            _, number, index, name = key.split("/")
            moments[int(number)].setdefault(int(index), {})[name] = value
    for optimizer, own in zip(optimizers, moments, strict=True):
        optimizer.load_state_dict({"state": own, "param_groups": optimizer.state_dict()["param_groups"]})
    with safe_open(path, framework="pt") as file:
        return TrainingState(**json.loads(file.metadata()["progress"]))


def save_weights(path: Path, weights: Mapping[str, Tensor], metadata: dict[str, str] | None = None) -> None:
    """Write tensors as one safetensors file."""
    with replace_file(path) as temporary:
        save_file({name: value.contiguous() for name, value in weights.items()}, temporary, metadata=metadata)
