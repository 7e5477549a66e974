"""Splits: exact counts, one split per image and per group, and order and names do not matter."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_digits
from sklearn.model_selection import StratifiedGroupKFold

from ops.datasets.identity import content_ids
from ops.datasets.splits import TEST, TRAIN, VALIDATION, assign_splits, assign_stable, count_targets
from ops.errors import UserError
from ops.sources.listing import SPLITS

DIGITS = load_digits()
LABELS = DIGITS.target.astype(np.int64)
KEYS = content_ids(DIGITS.images.astype(np.uint8)[..., None])


def count_splits(labels: np.ndarray, splits: np.ndarray) -> np.ndarray:
    classes = int(labels.max()) + 1
    return np.stack([np.bincount(labels[splits == code], minlength=classes) for code in range(3)])


def make_patients(patients: int, classes: int, seed: int) -> tuple[np.ndarray, list[str]]:
    """Labels and groups: a geometric number of images each, a few classes per patient."""
    rng = np.random.default_rng(seed)
    sizes = rng.geometric(1 / 15, patients)
    mixes = rng.dirichlet(np.full(classes, 0.3), patients)
    labels = np.concatenate([rng.choice(classes, n, p=mix) for n, mix in zip(sizes, mixes, strict=True)])
    return labels, [f"patient {i}" for i in np.repeat(np.arange(patients), sizes)]


def test_the_codes_are_positions_in_the_names_of_the_splits() -> None:
    assert [SPLITS[code] for code in (TRAIN, VALIDATION, TEST)] == ["train", "validation", "test"]


def test_shares_are_rounded_half_up_as_they_are_written() -> None:
    counts = np.array([10, 100, 1000, 3, 4, 0, 1, 2])
    found = count_targets(counts, validation=0.145, test=0.25)
    assert found[VALIDATION].tolist() == [1, 15, 145, 1, 1, 0, 0, 0]  # 14.5 in floats is 14.499999999999998
    assert found[TEST].tolist() == [3, 25, 250, 1, 1, 0, 0, 1]
    assert found.sum(axis=0).tolist() == counts.tolist()
    assert count_targets(np.array([4, 9]), validation=0.45, test=0.45).tolist() == [[1, 1], [1, 4], [2, 4]]
    assert count_targets(np.array([9]), validation=0, test=0).tolist() == [[9], [0], [0]]


@given(st.integers(3, 10_000), st.floats(0, 0.99), st.floats(0, 0.99))
def test_every_split_has_an_image_of_a_class_of_three(count: int, validation: float, test: float) -> None:
    if validation + test >= 1:
        test = 0.99 - validation if validation < 0.99 else 0.0
    sizes = count_targets(np.array([count]), validation=validation, test=test)[:, 0]
    assert sizes.sum() == count and sizes[TRAIN] >= 1
    assert (sizes[VALIDATION] >= 1) == (validation > 0) and (sizes[TEST] >= 1) == (test > 0)


@pytest.mark.parametrize(("validation", "test"), [(0.1, 0.2), (0.15, 0.0), (0.0, 0.5), (0.0, 0.0), (0.001, 0.9)])
def test_each_class_has_exactly_its_counts(validation: float, test: float) -> None:
    assert len(set(KEYS)) == len(KEYS)
    splits = assign_splits(LABELS, KEYS, validation=validation, test=test, seed=0)
    assert splits.dtype == np.int8
    expected = count_targets(np.bincount(LABELS), validation=validation, test=test)
    np.testing.assert_array_equal(count_splits(LABELS, splits), expected)


def test_the_seed_and_the_keys_decide_and_nothing_else() -> None:
    splits = assign_splits(LABELS, KEYS, validation=0.2, test=0.2, seed=0)
    order = np.random.default_rng(0).permutation(len(LABELS))
    moved = assign_splits(LABELS[order], [KEYS[i] for i in order], validation=0.2, test=0.2, seed=0)
    np.testing.assert_array_equal(moved, splits[order])
    few = LABELS != 4
    part = assign_splits(LABELS[few], [KEYS[i] for i in np.flatnonzero(few)], validation=0.2, test=0.2, seed=0)
    np.testing.assert_array_equal(part, splits[few])
    other = assign_splits(LABELS, KEYS, validation=0.2, test=0.2, seed=1)
    assert (other != splits).mean() == pytest.approx(1 - 0.36 - 2 * 0.04, abs=0.06)


def test_new_images_leave_most_of_the_others_where_they_are() -> None:
    few = [i for i in range(len(LABELS)) if i % 20]
    whole = assign_splits(LABELS, KEYS, validation=0.2, test=0.2, seed=0)
    part = assign_splits(LABELS[few], [KEYS[i] for i in few], validation=0.2, test=0.2, seed=0)
    assert (whole[few] == part).mean() > 0.95


def test_another_share_of_validation_leaves_test_alone() -> None:
    one = assign_splits(LABELS, KEYS, validation=0.1, test=0.2, seed=0)
    two = assign_splits(LABELS, KEYS, validation=0.4, test=0.2, seed=0)
    np.testing.assert_array_equal(one == TEST, two == TEST)
    assert ((one == VALIDATION) <= (two == VALIDATION)).all()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 30)), min_size=1, max_size=80), st.randoms())
def test_identical_images_share_a_split_whatever_their_labels(rows: list[tuple[int, int]], random: object) -> None:
    rows = [*rows, *((label, 100 * label + i) for label in range(4) for i in range(10))]
    labels, keys = np.array([row[0] for row in rows]), [str(row[1]) for row in rows]
    splits = assign_splits(labels, keys, validation=0.2, test=0.2, seed=0)
    assert len({*zip(keys, splits.tolist(), strict=True)}) == len(set(keys))
    assert (count_splits(labels, splits) > 0).all()
    order = list(range(len(rows)))
    random.shuffle(order)  # type: ignore[attr-defined]
    moved = assign_splits(labels[order], [keys[i] for i in order], validation=0.2, test=0.2, seed=0)
    np.testing.assert_array_equal(moved, splits[order])


def test_a_few_duplicates_leave_the_counts_exact() -> None:
    labels, keys = np.concatenate([LABELS, LABELS[:50]]), KEYS + KEYS[:50]
    splits = assign_splits(labels, keys, validation=0.1, test=0.2, seed=0)
    np.testing.assert_array_equal(splits[:50], splits[len(LABELS) :])
    expected = count_targets(np.bincount(labels), validation=0.1, test=0.2)
    np.testing.assert_array_equal(count_splits(labels, splits), expected)


@settings(max_examples=20, deadline=None)
@given(st.integers(12, 60), st.integers(2, 5), st.integers(0, 10_000))
def test_a_group_never_straddles_splits_in_any_order(patients: int, classes: int, seed: int) -> None:
    labels, groups = make_patients(patients, classes, seed)
    rng = np.random.default_rng(seed)
    keys = [str(key) for key in rng.integers(0, 50 * len(labels), len(labels))]  # some are equal
    try:
        splits = assign_splits(labels, keys, validation=0.2, test=0.2, seed=seed, groups=groups)
    except UserError as error:  # a class in one or two patients only
        assert "groups" in str(error)
        return
    assert len({*zip(groups, splits.tolist(), strict=True)}) == len(set(groups))
    assert len({*zip(keys, splits.tolist(), strict=True)}) == len(set(keys))
    assert (count_splits(labels, splits)[:, np.bincount(labels) > 0] > 0).all()
    order = rng.permutation(len(labels))
    moved_keys, moved_groups = [keys[i] for i in order], [groups[i] for i in order]
    moved = assign_splits(labels[order], moved_keys, validation=0.2, test=0.2, seed=seed, groups=moved_groups)
    np.testing.assert_array_equal(moved, splits[order])


def test_identical_images_join_their_groups() -> None:
    labels, groups = make_patients(30, 2, seed=0)
    keys = [str(i) for i in range(len(labels))]
    first = {name: groups.index(name) for name in ("patient 0", "patient 7", "patient 9")}
    keys[first["patient 7"]] = keys[first["patient 0"]]
    keys[first["patient 9"]] = keys[first["patient 7"] + 1] = "shared"
    groups[first["patient 7"] + 1] = "patient 7"
    for seed in range(8):
        splits = assign_splits(labels, keys, validation=0.3, test=0.3, seed=seed, groups=groups)
        assert len({splits[i] for i in range(len(labels)) if groups[i] in first}) == 1


@pytest.mark.parametrize(
    ("patients", "classes", "off", "peer"), [(12, 2, 2.23, 10.43), (60, 5, 0.27, 3.56), (400, 10, 0.0, 0.35)]
)
def test_groups_come_closer_to_the_counts_than_scikit_learn(
    patients: int, classes: int, off: float, peer: float
) -> None:
    """`off` and `peer` are the mean deviation in images per class and split as measured over seeds 0 to 19."""
    ours, theirs = [], []
    for seed in range(5):
        labels, groups = make_patients(patients, classes, seed)
        keys = [str(i) for i in range(len(labels))]
        targets = count_targets(np.bincount(labels), validation=0.2, test=0.2)
        splits = assign_splits(labels, keys, validation=0.2, test=0.2, seed=0, groups=groups)
        ours.append(abs(count_splits(labels, splits) - targets).mean())
        folds = np.zeros(len(labels), np.int8)
        parts = StratifiedGroupKFold(5).split(labels, labels, groups)
        for code, (_, rows) in zip((VALIDATION, TEST), parts, strict=False):
            folds[rows] = code
        theirs.append(abs(count_splits(labels, folds) - targets).mean())
    assert all(one <= other for one, other in zip(ours, theirs, strict=True))
    assert np.mean(ours) <= 2 * off + 0.05 < peer


def test_groups_of_one_image_equal_no_groups() -> None:
    names = [f"serial {i}" for i in range(len(LABELS))]
    grouped = assign_splits(LABELS, KEYS, validation=0.1, test=0.2, seed=0, groups=names)
    np.testing.assert_array_equal(grouped, assign_splits(LABELS, KEYS, validation=0.1, test=0.2, seed=0))


def test_an_empty_source_gives_an_empty_split() -> None:
    assert assign_splits(np.empty(0, np.int64), [], validation=0.1, test=0.1, seed=0).tolist() == []


@pytest.mark.parametrize(
    ("validation", "test", "message"),
    [
        (-0.1, 0.2, "the share of validation is -0.1; allowed: 0 or more and less than 1"),
        (0.1, 1.0, "the share of test is 1.0; allowed"),
        (float("nan"), 0.1, "the share of validation is nan; allowed"),
        (0.6, 0.4, "validation, 0.6, and test, 0.4, leave nothing for train; allowed: less than 1 together"),
    ],
)
def test_mistakes_in_the_shares(validation: float, test: float, message: str) -> None:
    with pytest.raises(UserError, match=message):
        assign_splits(LABELS, KEYS, validation=validation, test=test, seed=0)


def test_a_class_that_is_too_small_is_named() -> None:
    labels = np.array([0, 0, 0, 1, 1, 1])

    def split(keys: str, test: float = 0.3, **options: object) -> np.ndarray:
        return assign_splits(labels, list(keys), validation=0.3, test=test, seed=0, **options)

    assert (count_splits(labels, split("abcdef")) == 1).all()
    with pytest.raises(
        UserError, match="class bee has 2 different images; at least 3 are needed, one for each of train"
    ):
        split("abcdde", class_names=("ant", "bee"))
    assert (count_splits(labels, split("abcdde", test=0))[:2] > 0).all()
    with pytest.raises(UserError, match="class 0 has 2 unrelated groups; at least 3 .* train, validation, test"):
        split("abcdef", groups=list("112345"))
    with pytest.raises(UserError, match="class 0 has 2 unrelated groups"):  # joined by their identical images
        split("aacdef", groups=list("123456"))


def test_groups_that_cannot_be_shared_out_are_refused() -> None:
    """Every class lies in three groups, but three splits would need all of the seven lines of the Fano plane."""
    lines = ["124", "235", "346", "457", "156", "267", "137"]
    labels = np.array([label for label, line in enumerate(lines) for _ in line])
    groups = [point for line in lines for point in line]
    with pytest.raises(
        UserError,
        match="the search found no way to keep groups and equal images whole and give .* an image of class line",
    ):
        assign_splits(
            labels,
            [str(i) for i in range(21)],
            validation=0.3,
            test=0.3,
            seed=0,
            groups=groups,
            class_names=[f"line {line}" for line in lines],
        )


def test_mistakes_of_the_caller() -> None:
    with pytest.raises(ValueError, match="1797 labels, 2 keys"):
        assign_splits(LABELS, ["a", "b"], validation=0.1, test=0.1, seed=0)
    with pytest.raises(ValueError, match="1797 labels, 1797 keys and 1 groups"):
        assign_splits(LABELS, KEYS, validation=0.1, test=0.1, seed=0, groups=["a"])
    with pytest.raises(ValueError, match="a label is -1"):
        assign_splits(np.array([-1]), ["a"], validation=0.1, test=0.1, seed=0)


def test_a_stable_split_never_moves_an_image_as_others_arrive() -> None:
    keys = [f"image {i}" for i in range(3_000)]
    whole = assign_stable(keys, validation=0.2, test=0.3, seed=0)
    part = assign_stable(keys[:100], validation=0.2, test=0.3, seed=0)
    np.testing.assert_array_equal(whole[:100], part)
    shares = np.bincount(whole) / len(keys)
    np.testing.assert_allclose(shares, [0.5, 0.2, 0.3], atol=0.03)
    np.testing.assert_array_equal(assign_stable(keys[::-1], validation=0.2, test=0.3, seed=0), whole[::-1])
    assert (assign_stable(keys, validation=0.2, test=0.3, seed=1) != whole).any()
    more = assign_stable(keys, validation=0.4, test=0.3, seed=0)
    np.testing.assert_array_equal(more == TEST, whole == TEST)
    groups = [str(i // 7) for i in range(3_000)]
    grouped = assign_stable(keys, validation=0.2, test=0.3, seed=0, groups=groups)
    assert all(len(set(grouped[i : i + 7].tolist())) == 1 for i in range(0, 3_000, 7))
    with pytest.raises(UserError, match="leave nothing for train"):
        assign_stable(keys, validation=0.5, test=0.5, seed=0)
