"""How a network that denoises learns, from a section of a recipe: its optimizers, its rate, its averaged weights.

On a thousand Fashion-MNIST images a flow is as good after 350 steps with Muon as after 700 with AdamW, at 8 % more
per step. Muon takes every kernel and matrix.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol, cast

from torch import Tensor, nn
from torch.optim import Optimizer

from ops.training.checkpoint import Checkpoints
from ops.training.loop import Learner, train
from ops.training.optimizers import build_adamw, build_muons
from ops.training.schedules import trapezoid
from ops.training.state import TrainingState
from ops.training.terms import Terms

CLIP = 1.0  # largest norm of the gradient


class LearningSettings(Protocol):
    """A section of a recipe that says how a network learns."""

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


def learn(
    network: nn.Module,
    find_loss: Callable[[int], Tensor],
    settings: LearningSettings,
    checkpoints: Checkpoints,
    *,
    device: str = "cpu",
    pool: ThreadPoolExecutor | None = None,
    prepare: Callable[[int], object] | None = None,
    on_step: Callable[[int, float], None] = lambda step, loss: None,
    section: str | None = None,
    key: str = "learning_rate",
) -> TrainingState:
    """Train `network` on `device` and leave it on the CPU with the averaged weights of its best moment.

    `section` and `key` are where the recipe has the learning rate, for advice; without a section it names the key
    alone. The rest is as in `ops.training.loop.train`. Raises TrainingDiverged.
    """
    network.to(device)
    rate = settings.learning_rate
    whose, within = ("", "") if section is None else (f"the {section}'s ", f"{section}.")
    learner = Learner(
        network,
        find_loss,
        OPTIMIZERS[settings.optimizer](network, rate, settings.weight_decay),
        trapezoid(rate, settings.steps, settings.warmup_steps),
        CLIP,
    )
    state = train(
        network,
        [learner],
        settings.steps,
        ema_decay=settings.ema_decay,
        checkpoints=checkpoints,
        pool=pool,
        prepare=prepare,
        if_diverged=f"lower {whose}{key} (now {rate}) or set {within}precision to fp32",
        on_step=on_step,
    )
    network.to("cpu")
    return state


def learn_on(
    terms: Terms,
    network: nn.Module,
    find_loss: Callable[[int], Tensor],
    settings: LearningSettings,
    checkpoints: Checkpoints,
    *,
    prepare: Callable[[int], object] | None = None,
    key: str = "learning_rate",
) -> TrainingState:
    """`learn` on the terms of a training."""
    return learn(
        network,
        find_loss,
        settings,
        checkpoints,
        device=terms.device,
        pool=terms.pool if terms.device == "cpu" else None,
        prepare=prepare,
        on_step=terms.on_step,
        section=terms.section,
        key=key,
    )


def _build_muons(network: nn.Module, learning_rate: float, weight_decay: float) -> list[Optimizer]:
    layers = [module for module in network.modules() if isinstance(module, (nn.Conv2d, nn.Linear))]
    matrices = [cast(nn.Parameter, layer.weight) for layer in layers]
    return build_muons(network, matrices, learning_rate, weight_decay)


OPTIMIZERS: dict[str, Callable[[nn.Module, float, float], list[Optimizer]]] = {
    "muon": _build_muons,
    "adamw": build_adamw,
}
