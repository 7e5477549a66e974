"""Averaged weights: an exponential moving average of a network's parameters, and a look through it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn


def copy_parameters(network: nn.Module) -> dict[str, Tensor]:
    """The parameters by name, on their device, apart from the network's memory."""
    return {name: value.detach().clone() for name, value in network.named_parameters()}


@torch.no_grad()
def load_parameters(network: nn.Module, values: Mapping[str, Tensor]) -> None:
    """Overwrite those parameters of the network that `values` names."""
    for name, parameter in network.named_parameters():
        if name in values:
            parameter.copy_(values[name])


@torch.no_grad()
def move_average(averages: list[Tensor], live: list[Tensor], decay: float) -> None:
    """θ̄ ← d·θ̄ + (1 - d)·θ in place."""
    torch._foreach_lerp_(averages, live, 1 - decay)


def update_average(averages: list[Tensor], live: list[Tensor], decay: float, step: int) -> None:
    """`move_average` with the decay of the step."""
    move_average(averages, live, limit_decay(decay, step))


def limit_decay(decay: float, step: int) -> float:
    """d = min(decay, (1 + step) / (10 + step)): early weights are forgotten."""
    return min(decay, (1 + step) / (10 + step))


def follow(average: nn.Module, network: nn.Module, decay: float) -> None:
    """Move the parameters of `average`, a copy of the network, towards the network's; its buffers stay."""
    mine, live = ([each.detach() for each in net.parameters()] for net in (average, network))
    move_average(mine, live, decay)


@contextmanager
def averaged(network: nn.Module, average: Mapping[str, Tensor]) -> Iterator[None]:
    """Inside, the network is in evaluation mode with the averaged weights; afterwards it trains on with its own."""
    live = copy_parameters(network)
    load_parameters(network, average)
    network.eval()
    try:
        yield
    finally:
        load_parameters(network, live)
        network.train()
