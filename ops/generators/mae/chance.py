"""What a variant needs by chance, taken from the noise of an image that every sampler is fed.

Each number is the sum of four numbers of the noise, with fixed signs, divided by two, so it is standard normal. Which
four is fixed too. As long as the noise has four numbers for each that is needed, none is used twice, and they are
independent; an image of few pixels has fewer, and then some share one of their four.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ops.generators.noise import draw_uniform

TERMS = 4


class Chance(NamedTuple):
    """scores : [n, L], normal; the lowest ones decide which patches are hidden. share : [n], uniform in 0..1, between
    the least and the most that is hidden. shift : [n, D], normal; what is mixed into the tokens."""

    scores: Tensor
    share: Tensor
    shift: Tensor


def take_chance(noise: Tensor, places: int, width: int) -> Chance:
    """Of noise [n, C, H, W], for so many patches and numbers of a token."""
    index, signs = (torch.from_numpy(table) for table in make_table(noise[0].numel(), places + 1 + width))
    taken = noise.flatten(1)[:, index.to(noise.device).flatten()].unflatten(1, (TERMS, -1))
    normal = (taken * signs.to(noise)).sum(dim=1) / math.sqrt(TERMS)
    scores, share, shift = normal.split([places, 1, width], dim=1)
    # The distribution function of a normal number is uniform.
    return Chance(scores, 0.5 * (1 + torch.erf(share[:, 0] / math.sqrt(2))), shift)


@lru_cache(maxsize=8)
def make_table(numbers: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Which of so many numbers each of `count` is made of, int64 [4, count], and with which signs, float32 [4, count].

    Columns are cut from permutations of all numbers, so the four are different.
    """
    whole = numbers // TERMS * TERMS  # of a permutation
    rounds = -(-TERMS * count // whole)
    drawn = draw_uniform((numbers,), seed=0, round_=0, unit="mae places", start=0, count=rounds)
    places = drawn.argsort(axis=1, kind="stable")[:, :whole].reshape(-1, TERMS)[:count]
    signs = draw_uniform((count, TERMS), seed=0, round_=0, unit="mae signs", start=0, count=1)[0]
    return np.ascontiguousarray(places.T), np.ascontiguousarray(np.where(signs.T < 0.5, -1, 1).astype(np.float32))
