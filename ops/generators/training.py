"""Train a flow on a small labelled set: class-balanced batches, EMA weights, checkpoints, exact resume.

Every random choice of step s comes from (seed, s), so a run that was killed and resumed from a
checkpoint ends with the same weights as one that was not. The module knows nothing of where the images
came from or where the generator goes.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from ops.errors import GrowsetError
from ops.generators.flow import decay_schedule, flow_loss
from ops.storage import replace_file

if TYPE_CHECKING:
    from ops.recipe.schema import FlowSettings


@dataclass
class Progress:
    """Where training stands; what a checkpoint holds besides tensors."""

    step: int = 0
    losses: list[float] = field(default_factory=list)  # mean loss of each LOSS_WINDOW steps
    window: list[float] = field(default_factory=list)


LOSS_WINDOW = 20


class TrainingDiverged(GrowsetError):
    """The loss became NaN or infinite; the last checkpoint before it is intact."""


def draw_batch(by_class: list[np.ndarray], balanced: bool, size: int, seed: int, step: int) -> np.ndarray:
    """Image indices of one step, int64 [size]: classes in equal numbers if `balanced`, else as they occur."""
    rng = np.random.default_rng([seed, step])
    if not balanced:
        return rng.choice(np.concatenate(by_class), size)
    # The remainder moves on with the step, so that no class is left out when the batch is small.
    classes = rng.permutation((step * size + np.arange(size)) % len(by_class))
    return np.array([rng.choice(by_class[c]) for c in classes])


def update_average(average: dict[str, Tensor], model: nn.Module, decay: float, step: int) -> None:
    """Exponential moving average in place; the decay warms up so that early weights are forgotten."""
    decay = min(decay, (1 + step) / (10 + step))
    live = dict(model.named_parameters())
    torch._foreach_lerp_(list(average.values()), [live[name].detach() for name in average], 1 - decay)


def save_checkpoint(
    path: Path, model: nn.Module, average: dict[str, Tensor], optimizer: torch.optim.Optimizer, progress: Progress
) -> None:
    """One safetensors file: weights, average, AdamW moments; progress as its metadata. Atomic."""
    tensors = {f"model/{name}": value for name, value in model.state_dict().items()}
    tensors |= {f"average/{name}": value for name, value in average.items()}
    for index, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer/{index}/{name}": value for name, value in state.items()}
    with replace_file(path) as temporary:
        save_file(
            {name: value.contiguous() for name, value in tensors.items()},
            temporary,
            metadata={"progress": json.dumps(vars(progress))},
        )


def load_checkpoint(
    path: Path, model: nn.Module, average: dict[str, Tensor], optimizer: torch.optim.Optimizer
) -> Progress:
    """Restore everything that `save_checkpoint` wrote; returns the progress."""
    from safetensors import safe_open

    tensors = load_file(path)
    model.load_state_dict({k.removeprefix("model/"): v for k, v in tensors.items() if k.startswith("model/")})
    for name in average:
        average[name].copy_(tensors[f"average/{name}"])
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        if key.startswith("optimizer/"):
            _, index, name = key.split("/")
            state.setdefault(int(index), {})[name] = value
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
    with safe_open(path, framework="pt") as file:
        return Progress(**json.loads(file.metadata()["progress"]))


def train_flow(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    settings: FlowSettings,
    *,
    seed: int,
    precision: str,
    device: str = "cpu",
    checkpoint: Path | None = None,
    checkpoint_every: int = 200,
    on_step: Callable[[int, float], None] = lambda step, loss: None,
    on_checkpoint: Callable[[int], None] = lambda step: None,
) -> list[float]:
    """Train `model` in place and leave the averaged weights in it; returns the loss curve.

    Parameters
    ----------
    images : uint8 [n, C, H, W]; labels : int64 [n], every class 0..K-1 present.
    precision : "fp32" or "bf16" (autocast; weights stay fp32).
    checkpoint : file to write every `checkpoint_every` steps and, if it exists, to resume from.
    on_checkpoint : called with the averaged weights in `model`.

    Raises
    ------
    TrainingDiverged : on a loss that is not finite.
    """
    device_type = torch.device(device).type
    data = (images.float() / 127.5 - 1).to(device)
    labels = labels.to(device)
    by_class = [np.flatnonzero(labels.cpu().numpy() == c) for c in range(int(labels.max()) + 1)]
    model.to(device).train()
    optimizer = torch.optim.AdamW(model.parameters(), settings.learning_rate, weight_decay=settings.weight_decay)
    average = {name: value.detach().clone() for name, value in model.named_parameters()}
    progress = Progress()
    if checkpoint and checkpoint.exists():
        progress = load_checkpoint(checkpoint, model, average, optimizer)

    for step in range(progress.step, settings.steps):
        index = torch.from_numpy(draw_batch(by_class, settings.class_balanced, settings.batch_size, seed, step))
        generator = torch.Generator().manual_seed(seed * 1_000_003 + step)
        for group in optimizer.param_groups:
            group["lr"] = settings.learning_rate * decay_schedule(step, settings.steps, settings.warmup_steps)
        with torch.autocast(device_type, torch.bfloat16, enabled=precision == "bf16"):
            loss = flow_loss(model, data[index], labels[index], generator)
        value = float(loss.detach())
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norm = float(nn.utils.clip_grad_norm_(model.parameters(), 1.0))
        if not (math.isfinite(value) and math.isfinite(norm)):
            raise TrainingDiverged(
                f"the generator's loss became {value}, its gradient {norm}, at step {step}; lower"
                f" generator.learning_rate (now {settings.learning_rate}) or set generator.precision to fp32"
            )
        optimizer.step()
        update_average(average, model, settings.ema_decay, step)

        progress.window.append(value)
        if len(progress.window) == LOSS_WINDOW:
            progress.losses.append(sum(progress.window) / LOSS_WINDOW)
            progress.window.clear()
        progress.step = step + 1
        on_step(progress.step, value)
        if checkpoint and progress.step % checkpoint_every == 0 and progress.step < settings.steps:
            # Sheet before checkpoint: a kill between them repeats a sheet; the other way round it would be lost.
            with averaged(model, average):
                on_checkpoint(progress.step)
            save_checkpoint(checkpoint, model, average, optimizer, progress)

    _load_parameters(model, average)
    model.to("cpu").eval()
    return progress.losses


class averaged:
    """Context in which `model` carries the averaged weights; the live ones return at its end."""

    def __init__(self, model: nn.Module, average: dict[str, Tensor]) -> None:
        self.model, self.average = model, average

    def __enter__(self) -> None:
        self.live = {name: value.detach().clone() for name, value in self.model.named_parameters()}
        _load_parameters(self.model, self.average)
        self.model.eval()

    def __exit__(self, *exception: object) -> None:
        _load_parameters(self.model, self.live)
        self.model.train()


@torch.no_grad()
def _load_parameters(model: nn.Module, values: dict[str, Tensor]) -> None:
    for name, parameter in model.named_parameters():
        parameter.copy_(values[name])
