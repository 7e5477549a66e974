"""Keyed draws: random words per image that depend on (purpose, seed, key, k) only.

The key is the image's content id. An image's words therefore do not depend on its place in a file or on its
neighbours, and a chunk of a dataset gets the same words as the whole (design, contract 2). `ops.generators.noise`
serves long streams per unit; here many units need a few words each, and one BLAKE2b digest costs far less than a
stream.

It does not know what is drawn: a purpose is a name that keeps the draws of two uses apart.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

MAX_WORDS = 8  # a BLAKE2b digest has 64 bytes
_CHUNK = 65_536  # digests held as Python objects at a time


def draw_words(
    keys: Sequence[str], *, purpose: str, seed: int, ks: Sequence[int] | np.ndarray | None = None, words: int = 1
) -> np.ndarray:
    """Uniform 64-bit words, uint64 [n, words]: row i depends on purpose, seed, keys[i] and ks[i] only.

    ks: the draw number of each key, from 0; None means 0 everywhere. words: 1 to MAX_WORDS; another count gives
    other words, not more of the same. Two keys share a word with probability 2**-64. ValueError if the lengths of
    `ks` and `keys` differ, if `words` is out of range or if the purpose contains a slash.
    """
    if not 1 <= words <= MAX_WORDS:
        raise ValueError(f"words is {words}; allowed: 1 to {MAX_WORDS}")
    if "/" in purpose:  # a slash would make the header ambiguous
        raise ValueError(f"the purpose is {purpose}; allowed: no slash")
    if ks is not None and len(ks) != len(keys):
        raise ValueError(f"there are {len(keys)} keys and {len(ks)} draw numbers")
    header = hashlib.blake2b(f"{purpose}/{seed}/".encode(), digest_size=8 * words)
    result = np.empty((len(keys), words), np.uint64)
    for begin in range(0, len(keys), _CHUNK):
        part = keys[begin : begin + _CHUNK]
        if ks is None:
            names = (f"0/{key}" for key in part)
        else:
            names = (f"{k}/{key}" for k, key in zip(ks[begin : begin + _CHUNK], part, strict=True))
        digests = []
        for name in names:
            digest = header.copy()
            digest.update(name.encode())
            digests.append(digest.digest())
        result[begin : begin + len(part)] = np.frombuffer(b"".join(digests), "<u8").reshape(-1, words)
    return result


def to_fractions(words: np.ndarray) -> np.ndarray:
    """Uniform numbers in [0, 1) from words, multiples of 2**-53: float64 of the same shape."""
    return (words >> np.uint64(11)).astype(np.float64) * 2.0**-53


def to_integers(words: np.ndarray, size: int) -> np.ndarray:
    """Uniform integers in 0 .. size - 1 from words: int64 of the same shape.

    The probability of each number is off by at most 2**-32. ValueError for a size outside 1 .. 2**31.
    """
    if not 1 <= size <= 2**31:
        raise ValueError(f"size is {size}; allowed: 1 to 2147483648")
    return (((words >> np.uint64(32)) * np.uint64(size)) >> np.uint64(32)).astype(np.int64)
