"""Long tails: the papers' counts to the image, nested choices that ignore the order, repeats with new draw numbers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.datasets import load_digits

from ops.datasets.identity import content_ids
from ops.datasets.longtail import (
    choose_long_tail,
    exponential_sizes,
    order_classes,
    step_sizes,
    zipf_sizes,
)
from ops.datasets.nuisances import rotate
from ops.errors import UserError

DIGITS = load_digits()
IMAGES = (DIGITS.images * 15).astype(np.uint8)[..., None]
LABELS = DIGITS.target.astype(np.int64)
KEYS = content_ids(IMAGES)


def test_zipf_is_kuzushiji_49_lt() -> None:
    sizes = zipf_sizes()
    head = [4828, 1207, 536, 301, 193, 134, 98, 75, 59, 48, 39, 33, 28, 24, 21, 18, 16, 14, 13, 12, 10, 9, 9, 8, 7, 7]
    assert sizes.tolist() == [*head, 6, 6, *[5] * 21]
    assert sizes.sum() == 7_864
    assert zipf_sizes(head=4800).sum() == 7_822
    assert sizes.dtype == np.int64


def test_exponential_is_cifar_lt() -> None:
    assert exponential_sizes(10, 5000, 100).tolist() == [5000, 2997, 1796, 1077, 645, 387, 232, 139, 83, 50]
    assert exponential_sizes(10, 5000, 100).sum() == 12_406
    hundred = exponential_sizes(100, 500, 100)
    assert hundred[:3].tolist() == [500, 477, 455] and hundred[-3:].tolist() == [5, 5, 5]
    assert hundred.sum() == 10_847
    assert exponential_sizes(200, 500, 100).sum() == 21_549  # TinyImageNet-LT


def test_step_has_two_sizes() -> None:
    assert step_sizes(10, 5000, 100).tolist() == [5000] * 5 + [50] * 5
    assert step_sizes(4, 100, 10, minority_fraction=0.25).tolist() == [100, 100, 100, 10]
    assert step_sizes(49, 100, 10).tolist() == [100] * 25 + [10] * 24
    assert step_sizes(3, 100, 7, minority_fraction=0).tolist() == [100] * 3
    assert step_sizes(3, 100, 7, minority_fraction=1).tolist() == [14] * 3


@given(st.integers(2, 300), st.integers(1, 10_000), st.floats(1, 10_000))
def test_sizes_fall_from_the_head_and_no_class_is_empty(classes: int, head: int, ratio: float) -> None:
    if ratio > head:
        with pytest.raises(UserError, match="the smallest class would be empty"):
            exponential_sizes(classes, head, ratio)
        return
    for sizes in (
        exponential_sizes(classes, head, ratio),
        step_sizes(classes, head, ratio),
        zipf_sizes(classes, 1, head, 1),
    ):
        assert len(sizes) == classes and sizes[0] == head and sizes[-1] >= 1
        assert (np.diff(sizes) <= 0).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: zipf_sizes(classes=1), "a long tail needs at least 2 classes; there are 1"),
        (lambda: zipf_sizes(exponent=-1), "the exponent of the class sizes is -1; allowed: 0 or more"),
        (lambda: zipf_sizes(floor=0), "the smallest class size is 0; allowed: 1 to the largest, 4828"),
        (lambda: exponential_sizes(10, 500, 0.5), "largest to the smallest class is 0.5; allowed: 1 or more"),
        (lambda: exponential_sizes(10, 50, float("inf")), "smallest class is inf; allowed: 1 or more"),
        (lambda: exponential_sizes(10, 50, 51), "50 / 51 is below 1; allowed: ratios up to 50"),
        (lambda: step_sizes(10, 50, 2, 1.1), "the share of minority classes is 1.1; allowed: 0 to 1"),
    ],
)
def test_mistakes_in_the_law(call: object, message: str) -> None:
    with pytest.raises(UserError, match=message):
        call()


def test_class_orders() -> None:
    labels = np.repeat([0, 1, 2, 3], [3, 7, 1, 7])
    assert order_classes(labels, 4, class_order="label", seed=9).tolist() == [0, 1, 2, 3]
    assert order_classes(labels, 4, class_order="available", seed=9).tolist() == [1, 3, 0, 2]
    versions = [order_classes(labels, 49, class_order="random", seed=seed) for seed in range(30)]
    assert all(sorted(version.tolist()) == list(range(49)) for version in versions)
    assert len({tuple(version.tolist()) for version in versions}) == 30
    firsts = [order_classes(labels, 4, class_order="random", seed=seed)[0] for seed in range(2_000)]
    assert np.bincount(firsts).min() > 400  # 5 standard deviations below 500
    with pytest.raises(UserError, match="class order size is unknown; allowed: label, random, available"):
        order_classes(labels, 4, class_order="size", seed=0)


def test_the_tail_has_its_sizes_without_repeats() -> None:
    sizes = exponential_sizes(10, 170, 10)
    rows, ks = choose_long_tail(LABELS, KEYS, sizes, class_order="random", seed=4, allow_repeats=False)
    order = order_classes(LABELS, 10, class_order="random", seed=4)
    assert np.bincount(LABELS[rows])[order].tolist() == sizes.tolist()
    assert len(np.unique(rows)) == len(rows)
    assert not ks.any()
    assert (np.diff(LABELS[rows]) >= 0).all()


def test_a_larger_size_contains_a_smaller_one() -> None:
    def choose(size: int) -> dict[int, list[tuple[int, int]]]:
        sizes = np.full(10, size)
        rows, ks = choose_long_tail(LABELS, KEYS, sizes, class_order="label", seed=0, allow_repeats=True)
        pairs = list(zip(rows.tolist(), ks.tolist(), strict=True))
        return {label: [pair for pair in pairs if LABELS[pair[0]] == label] for label in range(10)}

    small, large = choose(40), choose(500)
    for label in range(10):
        assert large[label][:40] == small[label]


def test_file_order_and_other_classes_do_not_matter() -> None:
    sizes = exponential_sizes(10, 300, 20)
    rows, ks = choose_long_tail(LABELS, KEYS, sizes, class_order="label", seed=0, allow_repeats=True)
    keys = [KEYS[row] for row in rows]
    order = np.random.default_rng(0).permutation(len(LABELS))
    moved = [KEYS[i] for i in order]
    again, ks_again = choose_long_tail(LABELS[order], moved, sizes, class_order="label", seed=0, allow_repeats=True)
    assert [moved[row] for row in again] == keys
    np.testing.assert_array_equal(ks_again, ks)
    few = LABELS != 7
    fewer = [key for key, keep in zip(KEYS, few, strict=True) if keep]
    sizes[7] = 0
    part, _ = choose_long_tail(LABELS[few], fewer, sizes, class_order="label", seed=0, allow_repeats=True)
    assert [fewer[row] for row in part] == [key for key, row in zip(keys, rows, strict=True) if LABELS[row] != 7]


@given(st.integers(1, 9), st.integers(1, 60), st.integers(0, 99))
def test_repeats_go_round_and_count_the_uses(available: int, size: int, seed: int) -> None:
    labels = np.repeat([0, 1], [available, 80])
    keys = [str(i) for i in range(len(labels))]
    sizes = np.array([size, 1])
    rows, ks = choose_long_tail(labels, keys, sizes, class_order="label", seed=seed, allow_repeats=True)
    assert ks[:size].tolist() == [i // available for i in range(size)]
    assert all(rows[i] == rows[i % available] for i in range(size))
    assert len(np.unique(rows[:size][:available])) == min(size, available)


def test_equal_images_never_share_a_draw() -> None:
    labels, keys = np.zeros(4, np.int64), ["a", "b", "a", "c"]
    rows, ks = choose_long_tail(labels, keys, np.array([10]), class_order="label", seed=0, allow_repeats=True)
    uses = [(keys[row], k) for row, k in zip(rows, ks, strict=True)]
    assert len(set(uses)) == 10


def test_repeated_images_differ_after_a_nuisance() -> None:
    # theta-LT: every class has the same few images
    three = np.concatenate([np.flatnonzero(label == LABELS)[:3] for label in range(10)])
    assert np.bincount(LABELS[three]).tolist() == [3] * 10
    keys = [KEYS[row] for row in three]
    sizes = exponential_sizes(10, 60, 20)
    rows, ks = choose_long_tail(LABELS[three], keys, sizes, class_order="random", seed=0, allow_repeats=True)
    images, _ = rotate(IMAGES[three][rows], [keys[row] for row in rows], seed=0, ks=ks)
    assert len(set(content_ids(images))) == sizes.sum()


def test_mistakes_about_the_images() -> None:
    labels, keys = np.array([0, 0, 1]), ["a", "b", "c"]

    def choose(sizes: list[int], repeats: bool = False, names: tuple[str, ...] | None = ("ant", "bee")) -> None:
        choose_long_tail(
            labels, keys, np.array(sizes), class_order="label", seed=0, allow_repeats=repeats, class_names=names
        )

    with pytest.raises(UserError, match="class bee has 1 images but its size is to be 2; allowed: .* or a nuisance"):
        choose([2, 2])
    with pytest.raises(UserError, match="class 1 has 1 images"):
        choose([2, 2], names=None)
    with pytest.raises(
        UserError, match="class cat has 0 images but its size is to be 1; allowed: .*another class order$"
    ):
        choose([2, 1, 1], repeats=True, names=("ant", "bee", "cat"))
    with pytest.raises(ValueError, match="labels lie in 0 to 1; allowed: 0 to 0"):
        choose([2])
    with pytest.raises(ValueError, match="3 labels and 1 keys"):
        choose_long_tail(labels, ["a"], np.array([1, 1]), class_order="label", seed=0, allow_repeats=False)
