"""The optimizers that a recipe may name, and the one-cycle schedule they share.

Muon (Jordan et al. 2024) orthogonalises the momentum of every matrix but the head's. On a thousand images the
small network needs about half of SGD's steps with it. It takes matrices only, so biases, norms
and the head learn with AdamW; its update is scaled to AdamW's size (Liu et al. 2025, §2.2), so
one learning rate and one weight decay serve both. This module knows nothing of arms or data.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, OneCycleLR

from ops.classifiers.networks.classifier import Classifier

RISE = 0.21  # share of the steps on which the rate rises; 0.2 would divide by zero at 5 steps
ORTHOGONALISATION_STEPS = 3  # Newton-Schulz iterations; 5 cost more and gave the same accuracy


def build_optimizers(name: str, model: nn.Module, learning_rate: float, weight_decay: float) -> list[Optimizer]:
    """Optimizers that together hold every parameter of `model` once; KeyError if `name` is unknown."""
    return OPTIMIZERS[name](model, learning_rate, weight_decay)


def build_schedules(optimizers: list[Optimizer], learning_rate: float, steps: int) -> list[LRScheduler]:
    """A one-cycle schedule of the rate (Smith & Topin 2019) per optimizer, with `learning_rate` as its peak."""
    return [
        OneCycleLR(
            optimizer,
            learning_rate,
            steps,
            pct_start=RISE,
            cycle_momentum=isinstance(optimizer, torch.optim.SGD),  # against the rate, from 0.95 to 0.85 and back
        )
        for optimizer in optimizers
    ]


def _muon(model: nn.Module, learning_rate: float, weight_decay: float) -> list[Optimizer]:
    head = {id(parameter) for parameter in model.head.parameters()} if isinstance(model, Classifier) else set()
    matrices = [parameter for parameter in model.parameters() if parameter.ndim == 2 and id(parameter) not in head]
    taken = {id(matrix) for matrix in matrices}
    others = [parameter for parameter in model.parameters() if id(parameter) not in taken]
    optimizers: list[Optimizer] = []
    if matrices:
        optimizers.append(
            torch.optim.Muon(
                matrices,
                learning_rate,
                weight_decay,
                momentum=0.9,
                ns_steps=ORTHOGONALISATION_STEPS,
                adjust_lr_fn="match_rms_adamw",
            )
        )
    if others:
        optimizers.append(torch.optim.AdamW(others, learning_rate, weight_decay=weight_decay))
    return optimizers


def _sgd(model: nn.Module, learning_rate: float, weight_decay: float) -> list[Optimizer]:
    parameters = model.parameters()
    return [torch.optim.SGD(parameters, learning_rate, momentum=0.9, nesterov=True, weight_decay=weight_decay)]


OPTIMIZERS: dict[str, Callable[[nn.Module, float, float], list[Optimizer]]] = {"muon": _muon, "sgd": _sgd}
