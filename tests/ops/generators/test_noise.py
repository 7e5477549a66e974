"""Counter-based noise against Philox and Box-Muller from their papers, the normal distribution and a stored digest."""

from __future__ import annotations

import hashlib
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from ops.generators.noise import derive_key, draw_noise, draw_uniform

MASK = 2**64 - 1


def run_philox(key: tuple[int, int], counter: int) -> list[int]:
    """Philox-4x64-10 of Salmon et al. 2011, in plain integers."""
    words, keys = [counter & MASK, counter >> 64 & MASK, 0, 0], list(key)
    for _ in range(10):
        first, second = 0xD2E7470EE14C6C93 * words[0], 0xCA5A826395121157 * words[2]
        words = [second >> 64 ^ words[1] ^ keys[0], second & MASK, first >> 64 ^ words[3] ^ keys[1], first & MASK]
        keys = [(keys[0] + 0x9E3779B97F4A7C15) & MASK, (keys[1] + 0xBB67AE8584CAA73B) & MASK]
    return words


def draw_slowly(size: int, seed: int, round_: int, unit: str, k: int) -> list[float]:
    """The noise of image k, one number at a time."""
    digest = hashlib.sha256(f"{seed}/{round_}/{unit}".encode()).digest()
    key = (int.from_bytes(digest[:8], "little"), int.from_bytes(digest[8:16], "little"))
    words = math.ceil(size / 2)
    counters = math.ceil(words / 4)
    raw = [word for j in range(counters) for word in run_philox(key, k * counters + j + 1)][:words]
    cosines, sines = [], []
    for word in raw:
        radius = math.sqrt(-2 * math.log(((word >> 32) + 0.5) / 2**32))
        angle = 2 * math.pi * ((word & 0xFFFFFFFF) + 0.5) / 2**32
        cosines.append(radius * math.cos(angle))
        sines.append(radius * math.sin(angle))
    return (cosines + sines)[:size]


@pytest.mark.parametrize("size", [1, 2, 7, 8, 9, 25])
@pytest.mark.parametrize("k", [0, 1, 1000, 2**40])
def test_noise_equals_philox_and_box_muller_written_out(size: int, k: int) -> None:
    drawn = draw_noise((size,), seed=5, round_=2, unit="Ölbaum", start=k, count=1)
    np.testing.assert_allclose(drawn[0], draw_slowly(size, 5, 2, "Ölbaum", k), rtol=1e-6, atol=1e-7)


@given(
    shape=st.tuples(st.integers(1, 3), st.integers(1, 7), st.integers(1, 7)),
    start=st.integers(0, 40),
    count=st.integers(1, 12),
    after=st.integers(0, 5),
)
@settings(max_examples=60, deadline=None)
def test_any_part_of_the_range_equals_the_same_rows_of_the_whole(
    shape: tuple[int, ...], start: int, count: int, after: int
) -> None:
    whole = draw_noise(shape, seed=1, round_=0, unit="cat", start=0, count=start + count + after)
    part = draw_noise(shape, seed=1, round_=0, unit="cat", start=start, count=count)
    assert part.shape == (count, *shape)
    assert part.dtype == np.float32
    np.testing.assert_array_equal(part, whole[start : start + count])


@pytest.mark.parametrize(
    "other", [{"unit": "dog"}, {"seed": 2}, {"round_": 1}, {"unit": "cat "}, {"seed": 11, "round_": 0}]
)
def test_another_unit_seed_or_round_gives_other_noise(other: dict[str, int | str]) -> None:
    base = {"seed": 1, "round_": 0, "unit": "cat", "start": 0, "count": 50}
    one = draw_noise((4, 4), **base).ravel()
    two = draw_noise((4, 4), **{**base, **other}).ravel()
    assert not np.isin(one, two).any()
    assert abs(np.corrcoef(one, two)[0, 1]) < 4 / math.sqrt(len(one))


def test_keys_differ_where_seed_round_and_unit_differ_only_in_the_slash() -> None:
    keys = {tuple(derive_key(seed, round_, unit)) for seed, round_, unit in [(1, 2, "3"), (1, 23, ""), (12, 3, "")]}
    assert len(keys) == 3


def test_no_two_images_of_a_unit_share_a_number() -> None:
    noise = draw_noise((3, 5, 5), seed=0, round_=0, unit="cat", start=0, count=300)
    assert len(np.unique(noise.reshape(300, -1), axis=0)) == 300
    # 22,500 of 2^32 values: about 0.06 pairs coincide by chance in all.
    assert len(np.unique(noise)) > noise.size - 5
    neighbours = np.corrcoef(noise[:-1].ravel(), noise[1:].ravel())[0, 1]
    assert abs(neighbours) < 4 / math.sqrt(noise[1:].size)


def test_noise_is_standard_normal() -> None:
    values = draw_noise((25, 40), seed=7, round_=0, unit="cat", start=0, count=100).ravel().astype(np.float64)
    n = len(values)
    assert n == 100_000
    assert np.isfinite(values).all()
    assert abs(values.mean()) < 4 / math.sqrt(n)
    assert abs(values.var() - 1) < 4 * math.sqrt(2 / n)
    assert abs(stats.skew(values)) < 4 * math.sqrt(6 / n)
    assert abs(stats.kurtosis(values)) < 4 * math.sqrt(24 / n)
    assert stats.kstest(values, "norm").pvalue > 0.01


def test_the_two_halves_of_box_muller_are_independent() -> None:
    halves = draw_noise((2, 50), seed=7, round_=0, unit="dog", start=0, count=1000).astype(np.float64)
    first, second = halves[:, 0].ravel(), halves[:, 1].ravel()
    bound = 4 / math.sqrt(len(first))
    assert abs(np.corrcoef(first, second)[0, 1]) < bound
    assert abs(np.corrcoef(first**2, second**2)[0, 1]) < bound


def test_a_small_draw_has_the_stored_digest() -> None:
    noise = draw_noise((1, 5, 5), seed=42, round_=0, unit="Ankle boot", start=3, count=4)
    rounded = np.rint(noise.astype(np.float64) * 1e5).astype("<i4")
    stored = "40dfd39e1445abe03562e0b5ac410956bfb29818ba387a13f56c7a7cfefabba4"
    assert hashlib.sha256(rounded.tobytes()).hexdigest() == stored


@pytest.mark.parametrize("size", [1, 4, 5, 9])
@pytest.mark.parametrize("k", [0, 3, 2**40])
def test_uniform_numbers_are_the_top_23_bits_of_philox_words(size: int, k: int) -> None:
    digest = hashlib.sha256("5/2/Ölbaum".encode()).digest()
    key = (int.from_bytes(digest[:8], "little"), int.from_bytes(digest[8:16], "little"))
    counters = math.ceil(size / 4)
    words = [word for j in range(counters) for word in run_philox(key, k * counters + j + 1)][:size]
    drawn = draw_uniform((size,), seed=5, round_=2, unit="Ölbaum", start=k, count=1)
    assert drawn[0].tolist() == [((word >> 41) + 0.5) / 2**23 for word in words]


def test_any_part_of_the_uniform_numbers_equals_the_same_rows_of_the_whole() -> None:
    whole = draw_uniform((3, 1, 1), seed=1, round_=0, unit="cat", start=0, count=20)
    np.testing.assert_array_equal(whole[7:12], draw_uniform((3, 1, 1), seed=1, round_=0, unit="cat", start=7, count=5))


def test_uniform_numbers_are_uniform_and_never_0_or_1() -> None:
    values = draw_uniform((50,), seed=3, round_=0, unit="dog", start=0, count=1000).ravel()
    assert values.min() > 0 and values.max() < 1
    assert stats.kstest(values, "uniform").pvalue > 0.01
