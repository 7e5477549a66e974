"""Keyed draws: a word depends on purpose, seed, key and k only, and is uniform."""

from __future__ import annotations

import hashlib
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from ops.datasets.keyed import MAX_WORDS, draw_words, to_fractions, to_integers

KEYS = [f"{i:016x}" for i in range(20_000)]


def test_a_word_is_the_documented_digest() -> None:
    digest = hashlib.blake2b(b"noise/7/3/abc", digest_size=16).digest()
    found = draw_words(["abc"], purpose="noise", seed=7, ks=[3], words=2)
    assert tuple(found[0].tolist()) == struct.unpack("<2Q", digest)


@given(st.lists(st.tuples(st.text(), st.integers(0, 10**9)), min_size=1, max_size=20), st.randoms())
def test_order_and_chunks_do_not_matter(rows: list[tuple[str, int]], random: object) -> None:
    keys, ks = [row[0] for row in rows], [row[1] for row in rows]
    whole = draw_words(keys, purpose="noise", seed=1, ks=ks, words=2)
    order = list(range(len(rows)))
    random.shuffle(order)  # type: ignore[attr-defined]
    one_by_one = [draw_words([keys[i]], purpose="noise", seed=1, ks=[ks[i]], words=2)[0] for i in order]
    np.testing.assert_array_equal(one_by_one, whole[order])


def test_a_missing_draw_number_means_zero() -> None:
    plain = draw_words(KEYS[:5], purpose="noise", seed=1)
    np.testing.assert_array_equal(plain, draw_words(KEYS[:5], purpose="noise", seed=1, ks=np.zeros(5, np.int64)))


def test_purpose_seed_key_and_k_all_matter() -> None:
    variants = [
        draw_words(KEYS[:100], purpose=purpose, seed=seed, ks=np.full(100, k))
        for purpose in ("noise", "angle")
        for seed in (0, 1)
        for k in (0, 1)
    ]
    assert len(np.unique(np.concatenate(variants))) == 800


def test_fractions_and_integers_are_uniform() -> None:
    words = draw_words(KEYS, purpose="noise", seed=0, words=3)
    fractions = to_fractions(words)
    assert fractions.min() >= 0 and fractions.max() < 1
    for column in fractions.T:
        assert stats.kstest(column, "uniform").pvalue > 1e-4
    assert abs(np.corrcoef(fractions.T) - np.eye(3)).max() < 0.04  # 5.6 standard errors
    integers = to_integers(words[:, 0], 7)
    assert stats.chisquare(np.bincount(integers, minlength=7)).pvalue > 1e-4


def test_the_ends_of_the_ranges() -> None:
    ends = np.array([0, 2**64 - 1], np.uint64)
    assert to_fractions(ends).tolist() == [0.0, 1 - 2.0**-53]
    assert to_integers(ends, 100).tolist() == [0, 99]
    assert to_integers(ends, 1).tolist() == [0, 0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"words": MAX_WORDS + 1}, "words is 9; allowed: 1 to 8"),
        ({"purpose": "a/b"}, "the purpose is a/b; allowed: no slash"),
        ({"ks": [1, 2]}, "there are 1 keys and 2 draw numbers"),
    ],
)
def test_mistakes_of_the_caller(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        draw_words(["a"], **{"purpose": "noise", "seed": 0, **options})
    with pytest.raises(ValueError, match="size is 0"):
        to_integers(np.zeros(1, np.uint64), 0)
