"""Counter-based noise: image k of a unit is a function of (seed, round, unit, k) alone.

Each unit (a class, or a seed image's content hash) has its own Philox key. Image k owns a fixed range of that key's
counters, so any image can be drawn alone, in any order, by any worker (design, contract 2). Normals come from
Box-Muller, which uses a fixed number of uniforms; the ziggurat does not. Whoever draws twice for one image names the
units differently, or both draws would come from the same bits.
"""

from __future__ import annotations

import hashlib

import numpy as np

WORDS_PER_COUNT = 4  # Philox-4x64 yields four 64-bit words per counter value


def derive_key(seed: int, round_: int, unit: str) -> np.ndarray:
    """The 128-bit Philox key of a unit, uint64 [2]."""
    digest = hashlib.sha256(f"{seed}/{round_}/{unit}".encode()).digest()
    return np.frombuffer(digest[:16], dtype="<u8").astype(np.uint64)


def draw_noise(shape: tuple[int, ...], *, seed: int, round_: int, unit: str, start: int, count: int) -> np.ndarray:
    """Standard normal noise for images `start` .. `start + count - 1` of a unit: float32 [count, *shape].

    >>> alone = draw_noise((1, 8, 8), seed=0, round_=0, unit="Bag", start=7, count=1)
    >>> among_others = draw_noise((1, 8, 8), seed=0, round_=0, unit="Bag", start=0, count=10)
    >>> bool((alone[0] == among_others[7]).all())
    True
    """
    size = int(np.prod(shape))
    words = -(-size // 2)  # one 64-bit word gives two 32-bit uniforms, and two uniforms give two normals
    raw = _draw_words(words, seed, round_, unit, start, count)
    # Uniforms in (0, 1): adding 0.5 keeps the logarithm finite.
    first = ((raw >> np.uint64(32)).astype(np.float64) + 0.5) * 2.0**-32
    second = ((raw & np.uint64(0xFFFFFFFF)).astype(np.float64) + 0.5) * 2.0**-32
    radius, angle = np.sqrt(-2.0 * np.log(first)), 2.0 * np.pi * second
    normals = np.concatenate([radius * np.cos(angle), radius * np.sin(angle)], axis=1)[:, :size]
    return normals.astype(np.float32).reshape(count, *shape)


def draw_uniform(shape: tuple[int, ...], *, seed: int, round_: int, unit: str, start: int, count: int) -> np.ndarray:
    """Uniform numbers in 0..1, both ends excluded, for the same images: float32 [count, *shape].

    A word gives one number, the middle of one of 2^23 equal parts, which float32 holds exactly.
    """
    raw = _draw_words(int(np.prod(shape)), seed, round_, unit, start, count)
    return (((raw >> np.uint64(41)).astype(np.float64) + 0.5) * 2.0**-23).astype(np.float32).reshape(count, *shape)


def _draw_words(words: int, seed: int, round_: int, unit: str, start: int, count: int) -> np.ndarray:
    """The first `words` random words of each image's own range of counters, uint64 [count, words]."""
    counters = -(-words // WORDS_PER_COUNT)
    # Philox steps its counter before it produces, so the images begin exactly at start * counters.
    stream = np.random.Philox(key=derive_key(seed, round_, unit), counter=[start * counters, 0, 0, 0])
    return stream.random_raw(count * counters * WORDS_PER_COUNT).reshape(count, counters * WORDS_PER_COUNT)[:, :words]
