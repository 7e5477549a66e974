"""The presets' choices, and the groups they make."""

from __future__ import annotations

import pytest

from ops.imagination.presets import CORRECTED, PAPER, PRESETS, RELEASE, Groups, find_statistics
from ops.imagination.protocols import UNCHANGED, Statistics


def test_the_release_is_what_its_code_does() -> None:
    assert RELEASE.criteria.target == "prediction"
    assert (RELEASE.criteria.consistency, RELEASE.criteria.entropy, RELEASE.criteria.diversity) == (1, 1, 1)
    assert (RELEASE.criteria.form, RELEASE.criteria.temperature) == ("kl_from_mean", 1)
    assert (RELEASE.ascent.rule, RELEASE.ascent.steps, RELEASE.ascent.size) == ("sign", 1, 0.1)
    assert (RELEASE.ball.norm, RELEASE.ball.radius, RELEASE.scored) == ("linf", 0.8, "unprojected")
    assert (RELEASE.seed_input, RELEASE.variant_input) == ("data", "none")
    assert RELEASE.unverified == ()


def test_ours_is_what_it_was() -> None:
    # Whoever changes one of these changes the images of every recipe that names no value.
    assert (CORRECTED.criteria.consistency, CORRECTED.criteria.entropy, CORRECTED.criteria.diversity) == (None, 1, 1)
    assert (CORRECTED.criteria.target, CORRECTED.criteria.form) == ("label", "cosine")
    for preset in (CORRECTED, PAPER):
        assert (preset.ascent.rule, preset.ascent.steps, preset.ascent.size) == ("sign", 1, 0.1)
        assert (preset.ball.norm, preset.ball.radius, preset.scored) == ("linf", 0.8, "projected")
        assert (preset.seed_input, preset.variant_input, preset.granularity) == ("own", "own", None)
    assert (PAPER.criteria.target, PAPER.criteria.form) == ("prediction", "kl_to_mean")
    assert (PAPER.criteria.consistency, PAPER.criteria.entropy, PAPER.criteria.diversity) == (1, 1, 1)


def test_the_paper_tells_what_is_not_verified_and_ours_prepares_both_sides_alike() -> None:
    assert any("direction" in phrase for phrase in PAPER.unverified)
    assert CORRECTED.seed_input == CORRECTED.variant_input
    assert CORRECTED.criteria.target == "label"
    assert set(PRESETS) == {"release", "paper", "corrected"}


@pytest.mark.parametrize(
    ("groups", "count", "sizes"),
    [
        (Groups(), 7, [7]),
        (Groups(2), 5, [2, 2, 1]),  # the release's
        (Groups(5, complete=True), 5, [5]),
        (Groups(5, complete=True), 7, [5, 5]),
        (Groups(8), 5, [5]),
    ],
)
def test_groups_are_consecutive_and_hold_all_variants(groups: Groups, count: int, sizes: list[int]) -> None:
    parts = groups.split(count)
    assert [len(part) for part in parts] == sizes
    assert [k for part in parts for k in part][:count] == list(range(count))


def test_groups_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValueError, match="give groups a size"):
        Groups(None, complete=True)
    with pytest.raises(ValueError, match="1 variant or more"):
        Groups(0)


def test_statistics_of_the_data_must_be_given_where_they_are_used() -> None:
    data = Statistics((0.3,), (0.2,))
    assert find_statistics("own", data) is None
    assert find_statistics("data", data) == data
    assert find_statistics("none", None) == UNCHANGED
    with pytest.raises(ValueError, match="none are given"):
        find_statistics("data", None)
