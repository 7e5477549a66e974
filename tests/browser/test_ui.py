"""The Dagster UI in Chromium, as a newcomer uses it: a click starts the chain of the example, its run is watched, then
assets, checks and the report are opened, and a schedule is switched on, which says why it starts nothing.

Elements are found by text and address: the classes of Dagster's pages have other names in each release.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from tests.browser.chromium import SHOWN, Chromium, View, find_button, find_link
from tests.ui import Client, serve
from tests.workspaces import growset

pytestmark = pytest.mark.browser

LAPTOP = View(1280, "light")
TEXT = "return document.body.innerText"
# What lies over a page and wants an answer.
DIALOGS = (
    SHOWN
    + """
const all = document.querySelectorAll('[role=dialog], [role=alertdialog], [class*=dialog-container]')
const found = [...all].filter(shown)
return found.filter(one => !found.some(other => other !== one && other.contains(one))).map(dialog => dialog.innerText)
"""
)
PICTURES = "return [...document.images].map(image => [image.getAttribute('src'), image.naturalWidth])"
ADDRESS = "return location.pathname"
SCHEDULE = "/schedules/scheduled_smoke"


# The last field of the schedule's line, after the one that selects it.
SWITCH = f"""
const name = document.querySelector('a[href$="{SCHEDULE}"]')
const fields = name ? name.parentElement.querySelectorAll('input') : []
return fields.length === 2 ? fields[1] : null
"""


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """The UI of the example; its expansion `smoke` may look at its source every minute."""
    folder = tmp_path_factory.mktemp("ui")
    root = folder / "example"
    made = growset(folder, "init", str(root), "--example")
    assert made.exit_code == 0, made.output
    recipe = root / "recipes" / "smoke.yaml"
    text, found = re.subn("^automation: null$", "automation: {schedule: '* * * * *'}", recipe.read_text(), flags=re.M)
    assert found == 1
    recipe.write_text(text)
    with serve(root) as client:
        yield client


@pytest.fixture(scope="module")
def run_id(client: Client, chromium: Chromium) -> str:
    """The run that a click has started."""
    chromium.show(client.origin, LAPTOP)
    chromium.click(find_link("/jobs"))
    chromium.click(find_link("/jobs/expand_smoke"))
    chromium.click(find_button("Materialize all"))
    chromium.click(find_button("View"))  # in the note that a run was launched
    chromium.wait("return location.pathname.startsWith('/runs/')")
    return str(chromium.ask(ADDRESS)).rpartition("/")[2]


@pytest.fixture(scope="module")
def made(client: Client, run_id: str) -> Client:
    """The UI when the run has ended."""
    assert client.wait_for_end(run_id, seconds=200) == "SUCCESS"
    return client


@pytest.fixture(scope="module")
def switched_on(made: Client, chromium: Chromium) -> Client:
    """The UI when a click has switched the schedule on."""
    chromium.show(f"{made.origin}/automation", LAPTOP)
    assert chromium.wait(f"const field = (() => {{{SWITCH}}})(); return field && !field.checked"), "it is on already"
    chromium.click(SWITCH.replace("fields[1]", "fields[1].closest('label')"))
    chromium.wait(f"const field = (() => {{{SWITCH}}})(); return field && field.checked")
    return made


def test_the_first_page_has_no_dialog_and_no_warning(client: Client, chromium: Chromium) -> None:
    chromium.show(client.origin, LAPTOP)
    chromium.wait(find_link("/jobs"))
    chromium.wait("return document.body.innerText.includes('Materialize an asset')")
    assert chromium.ask(DIALOGS) == []  # a tick shows one, which is found
    text = chromium.ask(TEXT).lower()
    assert [word for word in ("warning", "error", "failed", "deprecated", "experimental") if word in text] == []


def test_a_click_starts_the_chain_and_its_page_follows_it(client: Client, run_id: str, chromium: Chromium) -> None:
    chromium.show(f"{client.origin}/runs/{run_id}", LAPTOP)
    chromium.wait("return document.body.innerText.includes('Started\\nRun of')")
    chromium.wait("return document.body.innerText.includes('smoke__generator')")
    chromium.wait("return document.body.innerText.includes('Success\\nRun of')", seconds=200)
    assert client.status(run_id) == "SUCCESS"


def test_an_assets_page_shows_its_pictures_and_plots(switched_on: Client, chromium: Chromium) -> None:
    chromium.show(f"{switched_on.origin}/assets/smoke/accepted_images", LAPTOP)
    chromium.wait("return document.images.length === 2 && [...document.images].every(image => image.complete)")
    for address, width in chromium.ask(PICTURES):
        assert address.startswith("/growset/pictures/smoke/accepted_images/") and width > 100
    chromium.click(find_button("Plots"))
    chromium.wait("return document.querySelectorAll('canvas').length > 3")
    assert "accept_rate" in chromium.ask(TEXT)


def test_a_check_tells_what_it_protects_and_what_to_do(made: Client, chromium: Chromium) -> None:
    chromium.show(f"{made.origin}/assets/smoke/accepted_images", LAPTOP)
    chromium.click(find_button("Checks"))
    chromium.wait("return document.body.innerText.includes('Evaluation result\\nPassed')")
    assert "If it fails: train the generator longer" in chromium.ask(TEXT)


def test_the_report_opens_from_its_link(made: Client, chromium: Chromium) -> None:
    chromium.show(f"{made.origin}/assets/smoke/verdict", LAPTOP)
    with chromium.in_new_window(find_link("/growset/reports/smoke")):
        assert chromium.wait("return document.title") == "No evidence · smoke · Growset report"
        widths = [width for _, width in chromium.ask(PICTURES)]
        assert len(widths) > 2 and all(widths)


def test_a_tick_says_why_it_starts_nothing(switched_on: Client, chromium: Chromium) -> None:
    chromium.show(f"{switched_on.origin}/automation", LAPTOP)
    chromium.click(find_link(SCHEDULE))
    chromium.click(find_button("0 runs requested"), seconds=100)
    chromium.wait(f"return (() => {{{DIALOGS}}})().some(dialog => dialog.includes('Skip reason'))")
    (dialog,) = chromium.ask(DIALOGS)
    assert "Skip reason: unchanged: 12,000 images, the same recipe and versions" in dialog
