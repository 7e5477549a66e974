"""Dropout whose masks are a function of a key, not of torch's global generator.

All threads share the global generator, so a thread's masks would depend on the order in which threads run. The key
names training, step and part of the batch, so neither threads nor a resumed run change a mask.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

MASK_STREAM = 2  # separates the masks from the batches, which are drawn from the same seed and step


@dataclass(frozen=True)
class Masks:
    """The source of the masks inside `drop_by`."""

    key: tuple[int, ...]
    generator: torch.Generator


_masks: ContextVar[Masks] = ContextVar("masks")


@contextmanager
def drop_by(*key: int) -> Iterator[None]:
    """Inside the block, in this thread, dropout masks follow from the key: whole numbers, 0 or more."""
    seed = int(np.random.SeedSequence([MASK_STREAM, *key]).generate_state(1, np.uint64)[0])
    token = _masks.set(Masks(key, torch.Generator().manual_seed(seed)))
    try:
        yield
    finally:
        _masks.reset(token)


def dropout_key() -> tuple[int, ...]:
    """The key of the enclosing `drop_by`; empty outside of one."""
    masks = _masks.get(None)
    return () if masks is None else masks.key


class KeyedDropout(nn.Module):
    """Like nn.Dropout, with masks from `drop_by`; LookupError in training outside of one."""

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share

    def forward(self, x: Tensor) -> Tensor:
        """Set each number of `x` to 0 with probability `share`, and divide the others by 1 - `share`."""
        if not self.training or not self.share:
            return x
        kept = torch.rand(x.shape, generator=_masks.get().generator) >= self.share  # on the CPU, on any device too
        return x * kept.to(x.device, x.dtype) / (1 - self.share)


def replace_dropout(network: nn.Module) -> None:
    """Replace each nn.Dropout inside `network` by a KeyedDropout."""
    for module in list(network.modules()):
        for name, child in module.named_children():
            if isinstance(child, nn.Dropout):
                setattr(module, name, KeyedDropout(child.p))
