"""Re-estimate normalisation statistics of a trained network on clean real images.

During training a batch normalisation averages statistics of what it is shown: augmented, mixed and generated images.
Test images are none of these. One pass over unaugmented real training images replaces the running averages by their
mean over equal batches. Weights stay as they are, and no label is looked at.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from ops.classifiers.networks.classifier import normalise
from ops.machine.precision import compute_in

MOST = 4_096  # images of the pass; statistics of some thousand images hardly change with more
AT_ONCE = 256  # images of a batch


@torch.no_grad()
def reestimate_statistics(network: nn.Module, images: torch.Tensor, *, precision: str, device: str) -> None:
    """Replace the running means and variances of every batch normalisation in place; it ends in evaluation mode.

    Parameters
    ----------
    images : uint8 [n, C, H, W] in 0..255; of more than MOST every so manieth is used.
    precision : `fp32` or `bf16`, as in the training.
    """
    if not _list_norms(network):
        return
    chosen = images[:: math.ceil(len(images) / MOST)]
    batches = torch.tensor_split(chosen, math.ceil(len(chosen) / AT_ONCE))
    shown = (normalise(batch.to(device)) for batch in batches)
    average_statistics(network, shown, precision=precision, device=device)


@torch.no_grad()
def average_statistics(network: nn.Module, batches: Iterable[torch.Tensor], *, precision: str, device: str) -> None:
    """As `reestimate_statistics`, over batches float [n, C, H, W] of images as the network sees them."""
    if not (norms := _list_norms(network)):
        return
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the plain mean over batches
    network.train()
    for batch in batches:
        views = batch.to(device).contiguous(memory_format=torch.channels_last)
        with compute_in(precision, device):
            network(views)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    network.eval()


def _list_norms(network: nn.Module) -> list[_BatchNorm]:
    return [module for module in network.modules() if isinstance(module, _BatchNorm)]
