"""Decide whether a run starts by itself, and whether its result is published. Pure: it reads no file and no clock.

A sensor looks at the source every minute and asks `decide_arrival`: have enough images arrived, and has the copying
ended? Another looks at the recipe and asks `decide_change`: has it changed, and has the editing ended? A schedule asks
`decide_schedule`: is anything not current? Whatever the answer is, it comes with its reason.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from ops.chain.watch_source import Listing, Measured, Watched
from ops.recipe.automation import AutomationSettings

Last = Literal["none", "unfinished", "failed", "succeeded"]  # the expansion's last run


@dataclass(frozen=True)
class Seen:
    """What a sensor remembers between two looks at a source, or at a recipe.

    signature : of it when it last changed, at `since` (s). measured : of that source, once it was measured.
    tried : its signature when a run was last started. number : runs started so far, for their keys.
    """

    signature: str = ""
    since: float = 0.0
    measured: Measured | None = None
    tried: str = ""
    number: int = 0

    def write(self) -> str:
        """As JSON text."""
        return json.dumps(asdict(self))


def read_seen(text: str | None) -> Seen:
    """From `Seen.write`; nothing remembered where there is no such text."""
    try:
        kept = json.loads(text or "{}")
        measured = kept.pop("measured", None)
        return Seen(**kept, measured=None if measured is None else Measured(**measured))
    except (ValueError, TypeError, AttributeError):
        return Seen()


@dataclass(frozen=True)
class Step:
    """The answer to a look: start a run or not, why, and what is remembered."""

    starts: bool
    why: str
    seen: Seen


def decide_arrival(
    seen: Seen,
    listing: Listing,
    watched: Watched | None,
    now: float,
    settings: AutomationSettings,
    last: Last,
    measure: Callable[[], Measured],
) -> Step:
    """Whether the source has changed by enough, and not for a while, since the last run read it.

    A source that cannot be listed counts as changed: the run tells it. `measure` is called once for each change.
    """
    if watched is not None and listing.signature == watched.signature:
        why = f"unchanged since the last run: {_tell_images(watched.measured)}"
        if last == "failed":
            why += "; that run failed, and it takes other images to start it again"
        forgotten = replace(seen, signature="", measured=None, tried="")
        return Step(False, "a run is going on" if last == "unfinished" else why, forgotten)
    if listing.signature != seen.signature or now < seen.since:  # the clock may have been set back
        seen = replace(seen, signature=listing.signature, since=now, measured=None)
    if last == "unfinished":
        return Step(False, "a run is going on", seen)
    if listing.signature == seen.tried:
        told = f" ({listing.fault})" if listing.fault else ""
        return Step(False, f"the run on these files did not succeed; it is repeated when they change{told}", seen)
    waited = now - seen.since
    if waited < 60 * settings.settle_minutes:
        state = f"cannot be listed ({listing.fault})" if listing.fault else f"has {len(listing.bytes):,} files"
        quiet = f"it is waited until nothing has changed for {settings.settle_minutes:g} minutes"
        return Step(False, f"the source {state}, since {waited / 60:.1f} minutes; {quiet}", seen)
    if watched is None or listing.fault:
        why = "it cannot be listed" if listing.fault else "no run here has read these images yet"
        return Step(True, why, _start(seen))
    if seen.measured is None:
        seen = replace(seen, measured=measure())
    assert seen.measured is not None
    if seen.measured.content is not None and seen.measured.content == watched.measured.content:
        return Step(False, "unchanged: files were written again with the same bytes", seen)
    enough, why = _compare(watched.measured, seen.measured, settings)
    return Step(enough, why, _start(seen) if enough else seen)


def decide_change(
    seen: Seen,
    signature: str,
    watched: Watched | None,
    now: float,
    settings: AutomationSettings,
    last: Last,
    find_outdated: Callable[[str], str | None],
) -> Step:
    """Whether recipe or versions, whose `signature` this is, have changed so that an output is not current, and not for
    a while. `find_outdated` is as for `decide_schedule`; it is asked only after a change.

    One change starts one run: what that leaves undone is for the schedule, or for the next change.
    """
    if signature == seen.tried:
        return Step(False, "the recipe and the versions of its stages are unchanged", replace(seen, signature=""))
    if last == "unfinished":
        return Step(False, "a run is going on", seen)
    if watched is None:
        return Step(False, "no run here has read its images yet", seen)
    outdated = find_outdated(watched.measured.content or "")
    if outdated is None:
        why = "every output follows from the recipe and the versions of its stages"
        return Step(False, why, replace(seen, signature="", tried=signature))
    if signature != seen.signature or now < seen.since:
        seen = replace(seen, signature=signature, since=now)
    waited = now - seen.since
    if waited < 60 * settings.settle_minutes:
        quiet = f"it is waited until nothing has changed for {settings.settle_minutes:g} minutes"
        return Step(False, f"{outdated}, since {waited / 60:.1f} minutes; {quiet}", seen)
    return Step(True, outdated, _start(seen))


def decide_schedule(
    listing: Listing,
    watched: Watched | None,
    last: Last,
    measure: Callable[[], Measured],
    find_outdated: Callable[[str], str | None],
) -> tuple[bool, str]:
    """Whether anything is to be made, and why. `find_outdated` names the first output that does not follow from recipe,
    versions and the source's content, which is its argument; it is asked only where the source is unchanged."""
    if last == "unfinished":
        return False, "a run is going on"
    if last == "failed":
        return True, "the last run failed"
    if listing.fault is not None:
        return True, f"the source cannot be listed: {listing.fault}"
    if watched is None:
        return True, "no run here has read these images yet"
    if listing.signature != watched.signature:
        found = measure()
        if found.content is None or found.content != watched.measured.content:
            return True, f"the source has changed: {_tell_images(found)}, {_tell_images(watched.measured)} before"
    if outdated := find_outdated(watched.measured.content or ""):
        return True, outdated
    return False, f"unchanged: {_tell_images(watched.measured)}, the same recipe and versions, every output current"


def gate(publish: str, verdict: Mapping[str, Any]) -> str | None:
    """Why a run that started by itself does not publish; None if it does. `verdict` is the content of verdict.json."""
    decision = str(verdict["decision"])
    if publish == "never":
        return "automation.publish is never"
    if not verdict["generator_used"]:
        return "the generator was not used"
    if decision == "helps" or (publish == "not_hurts" and decision != "hurts"):
        return None
    return f"the verdict is {decision}, and automation.publish is {publish}"


def _start(seen: Seen) -> Seen:
    return replace(seen, tried=seen.signature, number=seen.number + 1)


def _compare(before: Measured, after: Measured, settings: AutomationSettings) -> tuple[bool, str]:
    """Whether the difference reaches one of the two limits; by bytes where the images cannot be counted."""
    if before.images is None or after.images is None:
        if before.bytes is None or after.bytes is None:
            return True, "changed, and by how much is known only to a run"
        change = abs(after.bytes - before.bytes)
        why = f"{after.bytes:,} bytes instead of {before.bytes:,}"
        enough = change > 0 and change >= settings.least_share * before.bytes
        return enough, why if enough else f"too small a change: {why}; {settings.least_share:.0%} are needed"
    change = abs(after.images - before.images)
    why = f"{after.images:,} images instead of {before.images:,}"
    enough = change > 0 and (change >= settings.least_images or change >= settings.least_share * before.images)
    needed = f"{settings.least_images:,} images or {settings.least_share:.0%} are needed"
    return enough, why if enough else f"too small a change: {why}; {needed}"


def _tell_images(measured: Measured) -> str:
    return "images not counted" if measured.images is None else f"{measured.images:,} images"
