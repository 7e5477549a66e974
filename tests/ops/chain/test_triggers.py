"""When a run starts by itself and when it publishes: every case of the tables, with its reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from ops.chain.triggers import Last, Seen, Step, decide_arrival, decide_change, decide_schedule, gate, read_seen
from ops.chain.watch_source import Listing, Measured, Watched
from ops.recipe.automation import AutomationSettings

NOON = 1_800_000_000.0
A, B = Listing("a", {"1.png": 5, "2.png": 5}), Listing("b", {"1.png": 5})
BROKEN = Listing("unlisted: UserError", fault="the folder does not exist")
MADE = Watched("a", Measured(100, "hash a", 1000))
NOTHING = Seen()
SETTINGS = AutomationSettings(on_new_images=True, settle_minutes=10, least_images=20, least_share=0.3)
GROWN = Measured(120, "hash b", 1200)


def arrive(
    listing: Listing,
    seen: Seen = NOTHING,
    *,
    watched: Watched | None = MADE,
    minutes: float = 0.0,
    last: Last = "succeeded",
    measured: Measured | None = GROWN,
    **settings: Any,
) -> Step:
    """A look, `minutes` after noon; with measured=None it must not measure."""

    def measure() -> Measured:
        assert measured is not None, "nothing has to be counted or hashed here"
        return measured

    chosen = SETTINGS.model_copy(update=settings)
    return decide_arrival(seen, listing, watched, NOON + 60 * minutes, chosen, last, measure)


CHANGED = Seen("b", NOON)  # B was first seen at noon


def test_an_unchanged_source_is_not_measured() -> None:
    step = arrive(A, Seen("b", NOON, GROWN, "b", 3), measured=None)
    assert (step.starts, step.why) == (False, "unchanged since the last run: 100 images")
    assert step.seen == Seen("", NOON, None, "", 3)


def test_a_change_is_left_alone_until_it_has_settled() -> None:
    step = arrive(B, measured=None)
    assert not step.starts and "nothing has changed for 10 minutes" in step.why and step.seen == CHANGED
    assert not arrive(B, step.seen, minutes=9.9, measured=None).starts
    moved = arrive(replace(B, signature="c"), step.seen, minutes=9.9, measured=None)
    assert not moved.starts and moved.seen.since == NOON + 60 * 9.9, "one more file: it begins again"
    assert arrive(B, step.seen, minutes=10).starts
    assert arrive(B, settle_minutes=0).starts


@pytest.mark.parametrize(
    ("measured", "settings", "starts", "why"),
    [
        (Measured(120, "x", 1), {}, True, "120 images instead of 100"),
        (Measured(119, "x", 1), {}, False, "too small a change: 119 images instead of 100; 20 images or 30% are need"),
        (Measured(80, "x", 1), {}, True, "80 images instead of 100"),
        (Measured(105, "x", 1), {"least_share": 0.05}, True, "105 images instead of 100"),
        (Measured(104, "x", 1), {"least_share": 0.05}, False, "too small a change"),
        (Measured(100, "x", 1), {"least_share": 0.0}, False, "too small a change: 100 images instead of 100"),
        (Measured(101, "x", 1), {"least_images": 1}, True, "101 images instead of 100"),
        (Measured(100, "hash a", 1000), {}, False, "unchanged: files were written again with the same bytes"),
        (Measured(None, None, 1300), {}, True, "1,300 bytes instead of 1,000"),
        (Measured(None, None, 1299), {}, False, "too small a change: 1,299 bytes instead of 1,000; 30% are needed"),
        (Measured(None, None, 1000), {"least_share": 0.0}, False, "too small a change"),
        (Measured(None, None, None), {}, True, "changed, and by how much is known only to a run"),
    ],
)
def test_the_floor_is_a_number_or_a_share(measured: Measured, settings: Any, starts: bool, why: str) -> None:
    step = arrive(B, CHANGED, minutes=10, measured=measured, **settings)
    assert step.starts == starts and step.why.startswith(why)
    assert (step.seen.tried, step.seen.number) == (("b", 1) if starts else ("", 0))
    assert step.seen.measured == measured
    again = arrive(B, step.seen, minutes=11, measured=None, **settings)  # measured once for each change
    assert not again.starts


def test_a_source_that_is_as_it_was_two_runs_ago_is_run_again_under_another_key() -> None:
    """Dagster starts a key once for ever."""
    first = arrive(B, CHANGED, minutes=10).seen
    made = Watched("b", GROWN)
    kept = arrive(B, first, watched=made, measured=None).seen
    assert kept.number == 1
    back = arrive(A, replace(kept, signature="a", since=NOON), watched=made, minutes=10, measured=Measured(100, "h", 1))
    assert back.starts and (back.seen.tried, back.seen.number) == ("a", 2)


def test_a_run_that_failed_is_not_repeated_until_files_change() -> None:
    started = arrive(B, CHANGED, minutes=10).seen
    step = arrive(B, started, minutes=60, last="failed", measured=None)
    assert not step.starts and "did not succeed" in step.why
    repaired = replace(B, signature="c", bytes={"1.png": 6})
    step = arrive(repaired, step.seen, minutes=61, last="failed", measured=None)
    assert not step.starts and "nothing has changed for 10 minutes" in step.why
    assert arrive(repaired, step.seen, minutes=71, last="failed").starts


def test_a_later_stage_that_failed_is_named_although_the_images_are_known() -> None:
    step = arrive(A, last="failed", measured=None)
    assert not step.starts and "that run failed, and it takes other images to start it again" in step.why


def test_nothing_starts_beside_a_run_and_the_change_is_kept() -> None:
    step = arrive(B, last="unfinished", measured=None)
    assert (step.starts, step.why, step.seen) == (False, "a run is going on", CHANGED)
    assert arrive(B, step.seen, minutes=10).starts
    assert arrive(A, last="unfinished", measured=None).why == "a run is going on", "which has read these images already"


def test_a_clock_that_is_set_back_starts_the_wait_again() -> None:
    step = arrive(B, CHANGED, minutes=-30, measured=None)
    assert not step.starts and step.seen.since == NOON - 60 * 30
    assert arrive(B, step.seen, minutes=-20).starts


def test_the_first_run_needs_no_floor_but_settled_files() -> None:
    assert not arrive(B, watched=None, measured=None).starts
    step = arrive(B, CHANGED, watched=None, minutes=10, last="none", measured=None)
    assert step.starts and step.why == "no run here has read these images yet"


def test_a_source_that_cannot_be_listed_is_run_once_so_that_somebody_is_told() -> None:
    step = arrive(BROKEN, measured=None)
    assert not step.starts and "cannot be listed (the folder does not exist)" in step.why
    step = arrive(BROKEN, step.seen, minutes=10, measured=None)
    assert step.starts and step.why == "it cannot be listed"
    step = arrive(BROKEN, step.seen, minutes=20, last="failed", measured=None)
    assert not step.starts and "(the folder does not exist)" in step.why
    step = arrive(A, step.seen, minutes=30, last="failed", measured=None)  # mounted again
    assert step.seen.tried == "", "the next fault is told again"


@pytest.mark.parametrize("text", [None, "", "{", "[]", '{"other": 1}', '{"measured": 3}'])
def test_what_is_remembered_survives_its_text_and_damage(text: str | None) -> None:
    assert read_seen(text) == Seen()
    for seen in (CHANGED, Seen("b", NOON, GROWN, "a", 7)):
        assert read_seen(seen.write()) == seen


def change(
    signature: str,
    seen: Seen,
    outdated: str | None = "mixed_dataset is stale",
    *,
    minutes: float = 0.0,
    last: Last = "succeeded",
    watched: Watched | None = MADE,
) -> Step:
    """A look at the recipe; the outputs are judged with the images that the last run read."""

    def find(content: str) -> str | None:
        assert content == "hash a"
        return outdated

    return decide_change(seen, signature, watched, NOON + 60 * minutes, SETTINGS, last, find)


def test_a_change_of_the_recipe_starts_one_run_once_the_editing_has_ended() -> None:
    known = change("a", NOTHING, None)
    assert not known.starts and known.seen == Seen(tried="a")
    assert change("a", known.seen).why == "the recipe and the versions of its stages are unchanged"
    step = change("b", known.seen)
    assert not step.starts and step.why.startswith("mixed_dataset is stale, since 0.0 minutes; it is waited until")
    assert not change("c", step.seen, minutes=9.9).starts, "an edit: it begins again"
    assert not change("b", step.seen, minutes=9.9).starts
    waiting = change("b", step.seen, minutes=10, last="unfinished")
    assert (waiting.starts, waiting.why, waiting.seen) == (False, "a run is going on", step.seen)
    done = change("b", step.seen, minutes=10)
    assert (done.starts, done.why, done.seen.number) == (True, "mixed_dataset is stale", 1)
    assert not change("b", done.seen, minutes=60, last="failed").starts, "that is for the schedule"
    assert not change("a", done.seen, None, minutes=60).starts, "taken back, and the outputs are still here"
    assert change("c", change("c", done.seen, minutes=60).seen, minutes=70, last="failed").seen.number == 2
    assert not change("b", step.seen, minutes=60, watched=None).starts


def plan(
    listing: Listing = A,
    watched: Watched | None = MADE,
    last: Last = "succeeded",
    measured: Measured | None = None,
    outdated: Mapping[str, str | None] = {},
) -> tuple[bool, str]:
    def measure() -> Measured:
        assert measured is not None
        return measured

    return decide_schedule(listing, watched, last, measure, lambda content: outdated.get(content))


@pytest.mark.parametrize(
    ("answer", "starts", "why"),
    [
        (plan(), False, "unchanged: 100 images, the same recipe and versions, every output current"),
        (plan(last="unfinished"), False, "a run is going on"),
        (plan(last="failed"), True, "the last run failed"),
        (plan(watched=None), True, "no run here has read these images yet"),
        (plan(BROKEN), True, "the source cannot be listed: the folder does not exist"),
        (plan(B, measured=GROWN), True, "the source has changed: 120 images, 100 images before"),
        (plan(B, measured=Measured(101, "x", 1)), True, "the source has changed: 101 images, 100 images before"),
        (plan(B, measured=Measured(100, "hash a", 1)), False, "unchanged: 100 images"),
        (plan(B, measured=Measured(None, None, 1)), True, "the source has changed: images not counted"),
        (plan(outdated={"hash a": "scorer was made from other settings"}), True, "scorer was made from other setting"),
    ],
)
def test_a_schedule_runs_what_is_not_current(answer: tuple[bool, str], starts: bool, why: str) -> None:
    assert answer[0] == starts and answer[1].startswith(why)


@pytest.mark.parametrize(
    ("decision", "used", "passing"),
    [
        ("helps", True, {"helps", "not_hurts"}),
        ("no evidence", True, {"not_hurts"}),
        ("hurts", True, set()),
        ("no evidence", False, set()),
    ],
)
def test_the_gate(decision: str, used: bool, passing: set[str]) -> None:
    found = {"decision": decision, "generator_used": used}
    refused = {publish: gate(publish, found) for publish in ("never", "not_hurts", "helps")}
    assert {publish for publish, why in refused.items() if why is None} == passing
    assert refused["never"] == "automation.publish is never"
    if not used:
        assert refused["not_hurts"] == "the generator was not used"
