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
def update_average(averages: list[Tensor], live: list[Tensor], decay: float, step: int) -> None:
    """θ̄ ← d·θ̄ + (1 - d)·θ in place, with d = min(decay, (1 + step) / (10 + step)): early weights are forgotten."""
    torch._foreach_lerp_(averages, live, 1 - min(decay, (1 + step) / (10 + step)))


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
