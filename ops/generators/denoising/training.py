"""Train a network that denoises: EMA weights, the best moment kept, exact resume.

Every random choice of step s comes from (seed, s), so a run that was killed and resumed from a checkpoint ends with
the same weights as one that was not. The module knows neither what the network predicts, nor where the images came
from, nor how a moment is judged.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Protocol

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.optim import Optimizer

from ops.errors import GrowsetError
from ops.files.storage import replace_file
from ops.generators.denoising.optimization import build_optimizers, held_by, set_rate
from ops.generators.protocol import Observation

CHECKPOINT, BEST = "training.safetensors", "best.safetensors"
LOSS_WINDOW = 20


@dataclass
class Progress:
    """Where training stands; what a checkpoint holds besides tensors."""

    step: int = 0
    losses: list[float] = field(default_factory=list)  # mean loss of each LOSS_WINDOW steps
    window: list[float] = field(default_factory=list)
    best_step: int = 0
    best_score: float = math.inf
    stopped: bool = False

    def judge(self, observation: Observation) -> None:
        """Remember the best moment, and whether it is over. The lower the score the better; of equals the later."""
        if observation.score <= self.best_score:
            self.best_step, self.best_score = self.step, observation.score
        self.stopped = observation.stop


class TrainingDiverged(GrowsetError):
    """The loss became NaN or infinite; the last checkpoint before it is intact."""


def decay_schedule(step: int, steps: int, warmup: int) -> float:
    """Learning-rate factor: linear warm-up, constant, linear to zero over the last 30 %."""
    rise = min(1.0, (step + 1) / max(1, warmup))
    fall = min(1.0, (steps - step) / max(1, math.ceil(0.3 * steps)))
    return rise * fall


@torch.no_grad()
def update_average(averages: list[Tensor], live: list[Tensor], decay: float, step: int) -> None:
    """Exponential moving average in place; the decay warms up so that early weights are forgotten."""
    decay = min(decay, (1 + step) / (10 + step))
    torch._foreach_lerp_(averages, live, 1 - decay)


def save_checkpoint(
    path: Path, model: nn.Module, average: dict[str, Tensor], optimizers: list[Optimizer], progress: Progress
) -> None:
    """One safetensors file: weights, average, the optimizers' moments; progress as its metadata. Atomic."""
    tensors = {f"model/{name}": value for name, value in model.state_dict().items()}
    tensors |= {f"average/{name}": value for name, value in average.items()}
    for number, optimizer in enumerate(optimizers):
        for index, state in optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer/{number}/{index}/{name}": value for name, value in state.items()}
    with replace_file(path) as temporary:
        save_file(
            {name: value.contiguous() for name, value in tensors.items()},
            temporary,
            metadata={"progress": json.dumps(vars(progress))},
        )


def save_weights(path: Path, weights: dict[str, Tensor]) -> None:
    """One safetensors file of the parameters. Atomic."""
    with replace_file(path) as temporary:
        save_file({name: value.contiguous() for name, value in weights.items()}, temporary)


def load_checkpoint(path: Path, model: nn.Module, average: dict[str, Tensor], optimizers: list[Optimizer]) -> Progress:
    """Restore everything that `save_checkpoint` wrote; returns the progress."""
    from safetensors import safe_open

    tensors = load_file(path)
    model.load_state_dict({k.removeprefix("model/"): v for k, v in tensors.items() if k.startswith("model/")})
    for name in average:
        average[name].copy_(tensors[f"average/{name}"])
    states: list[dict[int, dict[str, Tensor]]] = [{} for _ in optimizers]
    for key, value in tensors.items():
        if key.startswith("optimizer/"):
            _, number, index, name = key.split("/")
            states[int(number)].setdefault(int(index), {})[name] = value
    for optimizer, state in zip(optimizers, states, strict=True):
        optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
    with safe_open(path, framework="pt") as file:
        return Progress(**json.loads(file.metadata()["progress"]))


class Schedule(Protocol):
    """What the optimizer is told; a section of a recipe."""

    @property
    def steps(self) -> int: ...
    @property
    def optimizer(self) -> str: ...
    @property
    def learning_rate(self) -> float: ...
    @property
    def weight_decay(self) -> float: ...
    @property
    def warmup_steps(self) -> int: ...
    @property
    def ema_decay(self) -> float: ...


def train(
    network: nn.Module,
    find_loss: Callable[[int], Tensor],
    schedule: Schedule,
    *,
    precision: str,
    scratch: Path,
    device: str = "cpu",
    checkpoints: int = 4,
    pool: ThreadPoolExecutor | None = None,
    prepare: Callable[[int], object] = lambda step: None,
    observe: Callable[[int], Observation] = lambda step: Observation(-step),
    on_step: Callable[[int, float], None] = lambda step, loss: None,
) -> Progress:
    """Train `network` in place and leave the averaged weights of its best moment in it; returns where it ended.

    Parameters
    ----------
    find_loss : the loss of a step, a scalar that depends on the network's weights and the step alone.
    precision : "fp32" or "bf16" (autocast; weights stay fp32).
    scratch : folder of the checkpoint and of the best weights; a run that finds them there goes on from them.
    checkpoints : how often that is written, and `observe` asked.
    pool : threads that the optimizers' work is divided among; None: one after another. No bit depends on it.
    prepare : what `find_loss` may do ahead for a step, called beside the optimizers of the one before.
    observe : called with the averaged weights in `network`, at each checkpoint and at the end.

    Raises
    ------
    TrainingDiverged : on a loss that is not finite.
    """
    network.to(device).train()
    optimizers = build_optimizers(schedule.optimizer, network, schedule.learning_rate, schedule.weight_decay)
    average = {name: value.detach().clone() for name, value in network.named_parameters()}
    parameters, averages = list(network.parameters()), {id(p): average[n] for n, p in network.named_parameters()}
    autocast = partial(torch.autocast, torch.device(device).type, torch.bfloat16, enabled=precision == "bf16")
    progress = Progress()
    checkpoint, every = scratch / CHECKPOINT, max(1, -(-schedule.steps // checkpoints))
    if checkpoint.exists():
        progress = load_checkpoint(checkpoint, network, average, optimizers)

    while progress.step < schedule.steps and not progress.stopped:
        step = progress.step
        set_rate(optimizers, schedule.learning_rate * decay_schedule(step, schedule.steps, schedule.warmup_steps))
        with autocast():
            loss = find_loss(step)
        value = float(loss.detach())
        for parameter in parameters:
            parameter.grad = None
        loss.backward()
        norm = float(nn.utils.clip_grad_norm_(parameters, 1.0))
        if not (math.isfinite(value) and math.isfinite(norm)):
            kept = f"; the checkpoint of step {step - step % every} is kept" if checkpoint.exists() else ""
            raise TrainingDiverged(
                f"the generator's loss became {value}, its gradient {norm}, at step {step}; lower its learning_rate"
                f" (now {schedule.learning_rate}) or set generator.precision to fp32{kept}"
            )

        def prepare_next(step: int = step) -> None:
            if step + 1 < schedule.steps:
                with autocast():
                    prepare(step + 1)

        def move(optimizer: Optimizer, step: int = step) -> None:
            optimizer.step()
            held = held_by(optimizer)
            update_average([averages[id(parameter)] for parameter in held], held, schedule.ema_decay, step)

        _do_all([prepare_next, *(partial(move, optimizer) for optimizer in optimizers)], pool)

        progress.window.append(value)
        if len(progress.window) == LOSS_WINDOW:
            progress.losses.append(sum(progress.window) / LOSS_WINDOW)
            progress.window.clear()
        progress.step = step + 1
        on_step(progress.step, value)
        if progress.step % every == 0 or progress.step == schedule.steps:
            # Observed before it is written: a kill between them repeats the look; else it would be lost.
            with averaged(network, average):
                progress.judge(observe(progress.step))
            if progress.best_step == progress.step:
                save_weights(scratch / BEST, average)
            save_checkpoint(checkpoint, network, average, optimizers, progress)

    _load_parameters(network, load_file(scratch / BEST))
    network.to("cpu").eval()
    return progress


def _do_all(tasks: Sequence[Callable[[], object]], pool: ThreadPoolExecutor | None) -> None:
    """Side by side in `pool`, those that wait in order; an error of one is raised when all have ended."""
    if pool is None:
        for task in tasks:
            task()
        return
    futures = [pool.submit(task) for task in tasks]
    wait(futures)
    for future in futures:
        future.result()


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
