"""The section `automation`: what it may say, each mistake in one sentence, and schedules that Dagster follows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from dagster._utils.schedules import is_valid_cron_string
from hypothesis import given, settings
from hypothesis import strategies as st

from ops.recipe.automation import FIELDS, AutomationSettings, check_cron
from ops.recipe.loading import parse_recipe
from ops.settings.reading import parse_yaml, read_yaml
from tests.recipes import refused

RECIPE: dict[str, Any] = read_yaml(Path(__file__).parents[3] / "recipes" / "smoke.yaml")
EXAMPLES = ("0 3 * * 0", "* * * * *", "*/15 8-18 * * mon-fri", "30 2 1,15 * *", "0 0 29 2 *", "5 4 31 feb,mar SUN")


def read(automation: Any) -> AutomationSettings | None:
    return parse_recipe({**RECIPE, "automation": automation}, "mine.yaml").automation


def test_it_may_be_absent_null_or_a_schedule_or_arrivals() -> None:
    assert read(None) is None
    assert parse_recipe({key: value for key, value in RECIPE.items() if key != "automation"}, "a").automation is None
    found = read({"schedule": "0 3 * * 0", "timezone": "Europe/Berlin", "publish": "helps"})
    assert found is not None and (found.on_new_images, found.publish) == (False, "helps")
    found = read({"on_new_images": True})
    assert found is not None
    assert (found.schedule, found.settle_minutes, found.least_images, found.least_share) == (None, 10, 20, 0.05)
    assert found.publish == "not_hurts" and not found.on_changed_recipe
    found = read({"on_changed_recipe": True, "settle_minutes": 5})
    assert found is not None and found.on_changed_recipe and not found.on_new_images


@pytest.mark.parametrize(
    ("automation", "sentence"),
    [
        (
            {},
            "'automation' in mine.yaml: it starts nothing; give it a schedule, on_new_images: true or"
            " on_changed_recipe: true, or remove it",
        ),
        (
            {"schedule": "0 3 * * 0", "settle_minutes": 5},
            "settle_minutes has no effect without on_new_images: true or on_",
        ),
        ({"on_changed_recipe": True, "least_images": 5}, "least_images has no effect without on_new_images: true; rem"),
        ({"schedul": "0 3 * * 0"}, "unknown key 'automation.schedul' in mine.yaml; did you mean 'schedule'?"),
        ({"schedule": "@daily"}, "'automation.schedule' in mine.yaml: five fields of cron are needed, such as"),
        ({"schedule": "0 3 * * 0 *"}, "five fields of cron are needed"),
        ({"schedule": "60 3 * * 0"}, "'60' cannot be the minute; allowed: 0 to 59; got '60 3 * * 0'"),
        ({"schedule": "0 3 * * someday"}, "'someday' cannot be the day of the week; allowed: 0 to 7 or sun to sat"),
        ({"schedule": "0 5-3 * * *"}, "'5-3' cannot be the hour; ranges go upwards"),
        ({"schedule": "*/0 3 * * *"}, "'*/0' cannot be the minute; ranges go upwards, and steps are 1 to 59"),
        ({"schedule": "0 3 L * *"}, "'L' cannot be the day of the month"),
        ({"schedule": "0 3 ?  * *"}, "'?' cannot be the day of the month; allowed: *, */2, 3, 1-5"),
        ({"schedule": "0 3 30 feb *"}, "none of its months has such a day"),
        ({"schedule": 3}, "'automation.schedule' in mine.yaml: input should be a valid string; got 3"),
        ({"schedule": "0 3 * * 0", "timezone": "Berlin"}, "'automation.timezone' in mine.yaml: no such time zone;"),
        ({"schedule": "0 3 * * 0", "timezone": "../x"}, "no such time zone; write a name such as Europe/Berlin"),
        ({"schedule": "0 3 * * 0", "timezone": "Europe"}, "no such time zone"),
        ({"schedule": "0 3 * * 0", "least_images": 5}, "least_images has no effect without on_new_images: true"),
        ({"on_new_images": True, "timezone": "Asia/Tokyo"}, "timezone has no effect without a schedule; remove it"),
        ({"on_new_images": True, "least_images": 0}, "'automation.least_images' in mine.yaml: input should be greater"),
        ({"on_new_images": True, "least_share": 2}, "'automation.least_share' in mine.yaml: input should be less"),
        ({"on_new_images": True, "settle_minutes": -1}, "'automation.settle_minutes' in mine.yaml: input should be gr"),
        ({"on_new_images": True, "publish": "yes"}, "'automation.publish' in mine.yaml: input should be 'never', 'no"),
        ({"on_new_images": "retrain"}, "'automation.on_new_images' in mine.yaml: input should be a valid boolean"),
    ],
)
def test_a_mistake_is_one_sentence(automation: dict[str, Any], sentence: str) -> None:
    with refused(sentence):
        read(automation)


def test_the_example_of_the_page_is_valid() -> None:
    page = (Path(__file__).parents[3] / "docs" / "nightly.md").read_text(encoding="utf-8")
    example = parse_yaml(page.partition("```yaml\n")[2].partition("```")[0], "nightly.md")
    recipe = parse_recipe({**RECIPE, **example}, "mine.yaml")
    assert recipe.automation is not None and recipe.publish.commit


@pytest.mark.parametrize("text", EXAMPLES)
def test_examples_are_schedules(text: str) -> None:
    check_cron(text)


def _field(low: int, high: int, names: tuple[str, ...]) -> st.SearchStrategy[str]:
    one = st.integers(low - 1, high + 1).map(str)
    one = st.one_of(one, st.sampled_from(names)) if names else one
    several = st.one_of(
        st.just("*"),
        one,
        st.tuples(one, one).map("-".join),
        st.integers(0, high + 1).map(lambda step: f"*/{step}"),
        st.tuples(one, one, st.integers(0, 9)).map(lambda part: f"{part[0]}-{part[1]}/{part[2]}"),
    )
    return st.lists(several, min_size=1, max_size=2).map(",".join)


@given(st.tuples(*(_field(*field[1:]) for field in FIELDS)).map(" ".join))
@settings(deadline=None, max_examples=300)
def test_dagster_follows_every_schedule_that_is_allowed(text: str) -> None:
    """A schedule that Dagster refused would take the whole code location down."""
    try:
        check_cron(text)
    except ValueError:
        return
    assert is_valid_cron_string(text)
