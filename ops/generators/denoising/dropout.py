"""Dropout whose masks are a function of a key, not of torch's global generator.

That one is shared by all threads: what each of them drew would depend on who came first. The key says of which
training, step and part of the batch the mask is, so that neither threads nor a resumed run change it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

STREAM = 2  # keeps the masks apart from the batches that the same seed and step draw


@dataclass(frozen=True)
class Masks:
    """Where the masks inside `drop_by` come from."""

    key: tuple[int, ...]
    generator: torch.Generator


_masks: ContextVar[Masks] = ContextVar("masks")


@contextmanager
def drop_by(*key: int) -> Iterator[None]:
    """Inside, in this thread, dropout follows the key: whole numbers, 0 or more."""
    seed = int(np.random.SeedSequence([STREAM, *key]).generate_state(1, np.uint64)[0])
    token = _masks.set(Masks(key, torch.Generator().manual_seed(seed)))
    try:
        yield
    finally:
        _masks.reset(token)


def dropout_key() -> tuple[int, ...]:
    """The key of the `drop_by` around this, or none."""
    masks = _masks.get(None)
    return () if masks is None else masks.key


class KeyedDropout(nn.Module):
    """As nn.Dropout; in training it must be called inside `drop_by` (LookupError)."""

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share

    def forward(self, x: Tensor) -> Tensor:
        """`x` with each number dropped with probability `share`, and the others scaled up to make good for it."""
        if not self.training or not self.share:
            return x
        kept = torch.rand(x.shape, generator=_masks.get().generator) >= self.share  # on the CPU, whatever the device
        return x * kept.to(x.device, x.dtype) / (1 - self.share)


def replace_dropout(network: nn.Module) -> None:
    """Put a KeyedDropout in the place of each nn.Dropout inside `network`."""
    for module in list(network.modules()):
        for name, child in module.named_children():
            if isinstance(child, nn.Dropout):
                setattr(module, name, KeyedDropout(child.p))
