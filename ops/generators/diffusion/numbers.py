"""The random numbers of one draw: functions of (seed, round, unit, k) alone, for whatever a pipeline asks.

A latent is larger than the noise that a drawer is fed. So the fed noise, which is such a function, names the draw.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ops.generators.noise import derive_key, draw_noise


@dataclass(frozen=True)
class Draw:
    """The k-th draw of a unit, in a round of a run's seed."""

    unit: str
    k: int = 0
    seed: int = 0
    round_: int = 0

    def normal(self, shape: tuple[int, ...], use: str) -> Tensor:
        """Standard normal float32 [*shape] for one use; other uses have other numbers."""
        unit = f"{use}/{self.unit}"
        drawn = draw_noise(shape, seed=self.seed, round_=self.round_, unit=unit, start=self.k, count=1)
        return torch.from_numpy(drawn[0])

    def choose(self, count: int, use: str) -> int:
        """A number in 0..count - 1, each equally often."""
        return int(self._find_key(use)[0] % np.uint64(count))

    def start_generator(self, use: str) -> torch.Generator:
        """A generator for a pipeline that draws by itself, on the CPU, whatever the device."""
        return torch.Generator().manual_seed(int(self._find_key(use)[0] >> np.uint64(1)))

    def _find_key(self, use: str) -> np.ndarray:
        return derive_key(self.seed, self.round_, f"{use} {self.k}/{self.unit}")


def name_draws(noise: Tensor) -> list[Draw]:
    """The draws that rows of fed noise float32 [n, ...] stand for."""
    rows = noise.contiguous().numpy()
    return [Draw(hashlib.sha256(row.tobytes()).hexdigest()) for row in rows]


def stack_normals(draws: Sequence[Draw], shape: tuple[int, ...], use: str) -> Tensor:
    """float32 [n, *shape], a row for each draw."""
    return torch.stack([draw.normal(shape, use) for draw in draws])
