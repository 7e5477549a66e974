"""What a game is played with: images, threads, number format, device. It loads nothing that computes."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Given:
    """What a game is played with.

    images : uint8 [n, C, H, W]; labels : int64 [n], every class 0..K-1 present.
    pool : threads that compute the parts of a batch; no bit depends on their number.
    precision : "fp32" or "bf16", in which the networks multiply; norms and losses are float32.
    """

    images: Tensor
    labels: Tensor
    seed: int
    pool: ThreadPoolExecutor
    precision: str
    device: str = "cpu"
