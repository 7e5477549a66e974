"""The section `automation` of a recipe: when its chain runs by itself, and what is published then.

No stage reads it, so an edit of it makes nothing stale. The module checks a schedule without knowing who follows it.
"""

from __future__ import annotations

import re
from typing import Literal
from zoneinfo import ZoneInfo

from pydantic import Field, field_validator, model_validator

from ops.settings.section import Count, Fraction, Section

MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
LENGTHS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)  # of the months, at most
FIELDS = (  # name, lowest and highest number, names that stand for the numbers from the lowest on
    ("minute", 0, 59, ()),
    ("hour", 0, 23, ()),
    ("day of the month", 1, 31, ()),
    ("month", 1, 12, MONTHS),
    ("day of the week", 0, 7, DAYS),  # 0 and 7 are Sunday
)
PART = re.compile(r"(?P<all>\*)(?:/(?P<each>[0-9]+))?|(?P<from>\w+)(?:-(?P<to>\w+)(?:/(?P<step>[0-9]+))?)?")
WEEK = 7 * 24 * 60  # minutes
Publish = Literal["never", "not_hurts", "helps"]


class AutomationSettings(Section):
    """Runs that the UI starts by itself, once they are switched on there: at fixed times, when images arrive, when the
    recipe changes. See docs/nightly.md. It is optional, and changing it makes nothing stale."""

    schedule: str | None = Field(
        None,
        description="five fields of cron: minute, hour, day of the month, month, day of the week; at these times"
        " whatever is not current is made; null: at no fixed time",
    )
    timezone: str = Field("UTC", description="time zone of the schedule, by its name in the IANA database")
    on_new_images: bool = Field(False, description="run when the source has gained or lost images")
    on_changed_recipe: bool = Field(
        False, description="run when the recipe or the version of a stage has changed, so that an output is not current"
    )
    settle_minutes: float = Field(
        10.0,
        ge=0,
        le=WEEK,
        description="with on_new_images or on_changed_recipe: wait until source or recipe has not changed for so long",
    )
    least_images: Count = Field(
        20, description="with on_new_images: a change of so many images is enough, or of least_share"
    )
    least_share: Fraction = Field(
        0.05, description="with on_new_images: a change by this share of the images of the last run is enough"
    )
    publish: Publish = Field(
        "not_hurts",
        description="the verdict with which such a run publishes: helps; not_hurts: any but hurts; never. Nothing is"
        " published where the generator was not used. A run that you start yourself publishes as ever",
    )

    @field_validator("schedule")
    @classmethod
    def _check_schedule(cls, schedule: str | None) -> str | None:
        if schedule is not None:
            check_cron(schedule)
        return schedule

    @field_validator("timezone")
    @classmethod
    def _check_timezone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (LookupError, ValueError, OSError):  # unknown, not a name, or a folder of names
            raise ValueError("no such time zone; write a name such as Europe/Berlin or UTC") from None
        return name

    @model_validator(mode="after")
    def _check_effect(self) -> AutomationSettings:
        sensors = "on_new_images: true or on_changed_recipe: true"
        watches = self.on_new_images or self.on_changed_recipe
        if self.schedule is None and not watches:
            raise ValueError(f"it starts nothing; give it a schedule, {sensors}, or remove it")
        idle = [("timezone", self.schedule is None, "a schedule"), ("settle_minutes", not watches, sensors)]
        idle += [(key, not self.on_new_images, "on_new_images: true") for key in ARRIVALS]
        for key, is_idle, needed in idle:
            if is_idle and getattr(self, key) != type(self).model_fields[key].default:
                raise ValueError(f"{key} has no effect without {needed}; remove it")
        return self


ARRIVALS = ("least_images", "least_share")  # keys that say which new images are enough


def check_cron(text: str) -> None:
    """ValueError, with a sentence, unless `text` is a schedule in five fields that names some day."""
    fields = text.split()
    if len(fields) != len(FIELDS):
        raise ValueError('five fields of cron are needed, such as "0 3 * * 0": Sundays at 3:00')
    _, _, days, months, _ = (_read_field(field, *kind) for field, kind in zip(fields, FIELDS, strict=True))
    if fields[4] == "*" and not any(min(days) <= LENGTHS[month - 1] for month in months):
        raise ValueError("none of its months has such a day")


def _read_field(text: str, name: str, low: int, high: int, names: tuple[str, ...]) -> set[int]:
    """The numbers that one field allows."""
    found: set[int] = set()
    for part in text.split(","):
        match = PART.fullmatch(part)
        if match is None:
            raise ValueError(f"{part!r} cannot be the {name}; allowed: *, */2, 3, 1-5, 1-9/2, and several with commas")
        if match["all"]:
            start, end = low, high
        else:
            start = _read_number(match["from"], name, low, high, names)
            end = start if match["to"] is None else _read_number(match["to"], name, low, high, names)
        step = int(match["each"] or match["step"] or 1)
        if end < start or not 1 <= step <= high:
            raise ValueError(f"{part!r} cannot be the {name}; ranges go upwards, and steps are 1 to {high}")
        found.update(range(start, end + 1, step))
    return found


def _read_number(text: str, name: str, low: int, high: int, names: tuple[str, ...]) -> int:
    if text.lower() in names:
        return low + names.index(text.lower())
    if not re.fullmatch("[0-9]{1,2}", text) or not low <= int(text) <= high:
        also = f" or {names[0]} to {names[-1]}" if names else ""
        raise ValueError(f"{text!r} cannot be the {name}; allowed: {low} to {high}{also}")
    return int(text)
