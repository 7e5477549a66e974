"""How every classifier learns, whatever its trainer: the optimizers that a recipe may name, and their one-cycle rate.

On a thousand images the small network needs about half of SGD's steps with Muon, which takes every matrix but the
head's. A training is not kept on disk before its end. It takes seconds to minutes, every finished one is kept, and its
batches, augmentations and pairings come from running random streams, whose states a checkpoint would have to hold.
A loss that is not finite does not end it: a grid tries settings, and a bad one loses by its score.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn
from torch.optim import Optimizer

from ops.classifiers.ingredients import Training
from ops.classifiers.networks.classifier import Classifier
from ops.training.loop import Learner, train
from ops.training.optimizers import build_adamw, build_muon_of_torch, build_sgd
from ops.training.schedules import one_cycle


def learn(
    network: nn.Module,
    find_loss: Callable[[int], Tensor],
    training: Training,
    build: Callable[[nn.Module, float, float], list[Optimizer]] | None = None,
) -> None:
    """Train `network` in place, on its device, for the steps of the training's budget; it ends in evaluation mode.

    build: its optimizers, from the peak of the rate and the weight decay; None: those of the budget.
    """
    budget, peak = training.budget, training.learning_rate
    optimizers = (build or OPTIMIZERS[budget.optimizer])(network, peak, training.weight_decay)
    schedule = one_cycle(peak, budget.steps, cycle_momentum=budget.optimizer == "sgd")
    train(network, [Learner(network, find_loss, optimizers, schedule)], budget.steps, on_step=training.on_step)


def _build_muon(network: nn.Module, learning_rate: float, weight_decay: float) -> list[Optimizer]:
    head = {id(parameter) for parameter in network.head.parameters()} if isinstance(network, Classifier) else set()
    matrices = [parameter for parameter in network.parameters() if parameter.ndim == 2 and id(parameter) not in head]
    if not matrices:
        return build_adamw(network, learning_rate, weight_decay)
    return build_muon_of_torch(network, matrices, learning_rate, weight_decay)


OPTIMIZERS: dict[str, Callable[[nn.Module, float, float], list[Optimizer]]] = {"muon": _build_muon, "sgd": build_sgd}
