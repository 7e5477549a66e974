"""Optimizers for one network: several, which together hold each of its parameters once.

Muon takes kernels and matrices that the caller names. AdamW takes everything else: biases, norms, embeddings. Each
optimizer has parameters of its own, so that several threads can take one step together. How the parameters are divided
depends on the network alone.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.optim import Optimizer

from ops.training.muon import ORTHOGONALISATION_STEPS, KernelMuon

BETAS = (0.9, 0.999)  # of AdamW
PER_MUON = 9  # matrices of one Muon: fewer spread more evenly over threads, and take more calls


def build_muons(
    network: nn.Module, matrices: Sequence[nn.Parameter], learning_rate: float, weight_decay: float
) -> list[Optimizer]:
    """`KernelMuon` for kernels and matrices, and AdamW; the network must be on the device where it computes."""
    muons = [KernelMuon(alike, learning_rate, weight_decay) for alike in divide(matrices)]
    return _add_adamw(muons, network, learning_rate, weight_decay)


def build_muon_of_torch(
    network: nn.Module, matrices: Sequence[nn.Parameter], learning_rate: float, weight_decay: float
) -> list[Optimizer]:
    """torch.optim.Muon for matrices, with a momentum of 0.9, and AdamW.

    It rounds to bf16 where `KernelMuon` does not, so that trained weights differ. Classifiers keep it: their stored
    results were made with it.
    """
    muon = torch.optim.Muon(
        matrices,
        learning_rate,
        weight_decay,
        momentum=0.9,
        ns_steps=ORTHOGONALISATION_STEPS,
        adjust_lr_fn="match_rms_adamw",
    )
    return _add_adamw([muon], network, learning_rate, weight_decay)


def build_adamw(
    network: nn.Module, learning_rate: float, weight_decay: float, *, betas: tuple[float, float] = BETAS
) -> list[Optimizer]:
    """AdamW for every parameter; the weight decay is decoupled from the gradient.

    betas: decays of the averages of the gradient and of its square.
    """
    return _add_adamw([], network, learning_rate, weight_decay, betas)


def build_sgd(network: nn.Module, learning_rate: float, weight_decay: float) -> list[Optimizer]:
    """SGD with Nesterov's momentum for every parameter; the weight decay is added to the gradient."""
    parameters = network.parameters()
    return [torch.optim.SGD(parameters, learning_rate, momentum=0.9, nesterov=True, weight_decay=weight_decay)]


def _add_adamw(
    optimizers: Sequence[Optimizer],
    network: nn.Module,
    learning_rate: float,
    weight_decay: float,
    betas: tuple[float, float] = BETAS,
) -> list[Optimizer]:
    """These and an AdamW for the parameters that none of them holds."""
    held = {id(parameter) for optimizer in optimizers for parameter in held_by(optimizer)}
    others = [parameter for parameter in network.parameters() if id(parameter) not in held]
    if not others:
        return list(optimizers)
    adamw = torch.optim.AdamW(others, learning_rate, betas, weight_decay=weight_decay, foreach=True)
    return [*optimizers, adamw]


def held_by(optimizer: Optimizer) -> list[nn.Parameter]:
    """The parameters that an optimizer moves, as the network has them."""
    if isinstance(optimizer, KernelMuon):
        return list(optimizer.kernels)
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]


def divide(matrices: Sequence[nn.Parameter]) -> list[list[nn.Parameter]]:
    """Matrices and kernels by their shorter side, the longest first, at most PER_MUON in a list."""
    by_side: dict[int, list[nn.Parameter]] = {}
    for matrix in matrices:
        by_side.setdefault(min(len(matrix), matrix.numel() // len(matrix)), []).append(matrix)
    return [
        alike[begin : begin + PER_MUON]
        for _, alike in sorted(by_side.items(), reverse=True)
        for begin in range(0, len(alike), PER_MUON)
    ]
