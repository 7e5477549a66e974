"""The funnel adds up for all reasons that rules may write, and equals counting by hand."""

from __future__ import annotations

from collections import Counter

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ops.filters.funnel import Counts, Funnel, count_funnel
from ops.filters.reasons import DUPLICATION, REASONS, SURPLUS
from ops.statistics.proportions import estimate_share

NAMES = ("cat", "dog", "eel")
SCHEMA = {"label": pl.Int64, "round": pl.Int64, "keep": pl.Boolean, "reasons": pl.List(pl.String)}
ORDER = list(REASONS)

some_reasons = st.lists(st.sampled_from(ORDER), unique=True, max_size=4).map(
    lambda found: sorted(found, key=ORDER.index)
)
images = st.tuples(st.integers(0, 2), st.integers(0, 3), st.one_of(some_reasons, st.just([SURPLUS])))


def make_index(rows: list[tuple[int, int, list[str]]]) -> pl.DataFrame:
    return pl.DataFrame([(label, number, not why, why) for label, number, why in rows], SCHEMA, orient="row")


def add_up(every: list[Counts]) -> Counts:
    return Counts(
        sum(counts.drawn for counts in every),
        {reason: sum(counts.rejected[reason] for counts in every) for reason in REASONS},
        {reason: sum(counts.flagged[reason] for counts in every) for reason in REASONS},
        sum(counts.surplus for counts in every),
        sum(counts.accepted for counts in every),
    )


@settings(max_examples=60, deadline=None)
@given(rows=st.lists(images, max_size=40), wanted=st.tuples(*[st.integers(0, 30)] * 3))
def test_every_image_is_counted_once(rows: list[tuple[int, int, list[str]]], wanted: tuple[int, int, int]) -> None:
    found = count_funnel(make_index(rows), NAMES, wanted)
    every = [found.total, *(entry.counts for entry in found.classes), *found.rounds]
    for counts in every:
        assert counts.drawn == sum(counts.rejected.values()) + counts.surplus + counts.accepted
        assert all(counts.flagged[reason] >= counts.rejected[reason] for reason in REASONS)
        assert list(counts.rejected) == list(counts.flagged) == ORDER
    assert add_up([entry.counts for entry in found.classes]) == found.total
    assert add_up(list(found.rounds)) == found.total
    assert found.total.rejected == {r: sum(why[:1] == [r] for *_, why in rows) for r in ORDER}
    assert found.total.flagged == {r: sum(r in why for *_, why in rows) for r in ORDER}
    for label, entry in enumerate(found.classes):
        kept = sum(not why for at, _, why in rows if at == label)
        assert entry.missing == max(0, wanted[label] - kept)
        assert sum(drawn for drawn, _ in entry.rounds) == entry.counts.drawn
        assert [kept for _, kept in entry.rounds] == [
            Counter((at, number) for at, number, why in rows if not why)[label, number]
            for number in range(len(found.rounds))
        ]
    assert found.missing == sum(entry.missing for entry in found.classes)


def count_example() -> Funnel:
    return count_funnel(
        make_index(
            [
                (0, 0, []),
                (0, 0, ["wrong_label", "near_repeat"]),
                (0, 0, ["near_repeat"]),
                (0, 1, [SURPLUS]),
                (1, 0, ["blank", "wrong_label"]),
                (1, 1, []),
            ]
        ),
        NAMES,
        (1, 3, 0),
    )


def test_an_example_by_hand() -> None:
    found = count_example()
    cat, dog, eel = found.classes
    assert {r: n for r, n in cat.counts.rejected.items() if n} == {"wrong_label": 1, "near_repeat": 1}
    assert {r: n for r, n in cat.counts.flagged.items() if n} == {"wrong_label": 1, "near_repeat": 2}
    assert (cat.counts.drawn, cat.counts.surplus, cat.counts.accepted, cat.missing) == (4, 1, 1, 0)
    assert (dog.rounds, dog.missing) == (((1, 0), (1, 1)), 2)
    assert (eel.counts.drawn, eel.counts.acceptance, eel.missing) == (0, None, 0)
    assert found.total.acceptance == estimate_share(3, 6)
    assert [counts.drawn for counts in found.rounds] == [4, 2]
    told = found.to_dict()
    assert (told["wanted"], told["missing"], told["passed"]) == (4, 2, 3)
    assert told["classes"][1]["rounds"] == [{"drawn": 1, "accepted": 0}, {"drawn": 1, "accepted": 1}]


def test_a_funnel_without_images() -> None:
    found = count_funnel(make_index([]), NAMES, (0, 2, 0))
    assert (found.total.drawn, found.rounds, found.missing) == (0, (), 2)


@pytest.mark.parametrize(
    ("row", "wanted", "sentence"),
    [
        ((0, 0, True, ["blank"]), (1, 1, 1), "kept with reasons"),
        ((0, 0, False, []), (1, 1, 1), "rejected without any"),
        ((0, 0, False, ["ugly"]), (1, 1, 1), "reason 'ugly' is not known"),
        ((0, 0, False, ["blank", SURPLUS]), (1, 1, 1), "stands beside other reasons"),
        ((3, 0, True, []), (1, 1, 1), "labels must lie in 0..2"),
        ((0, 0, True, []), (1, 1), "3 classes have 2"),
    ],
)
def test_an_index_that_cannot_add_up_is_refused(
    row: tuple[object, ...], wanted: tuple[int, ...], sentence: str
) -> None:
    with pytest.raises(ValueError, match=sentence):
        count_funnel(pl.DataFrame([row], SCHEMA, orient="row"), NAMES, wanted)


def test_reasons_about_duplication_name_an_original() -> None:
    assert {r for r in REASONS if "copy" in r or "repeat" in r} == DUPLICATION
    assert REASONS["near_copy_of_train"].title == "near copy of train"
