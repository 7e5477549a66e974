"""The page of `growset explore` in Chromium, opened from its file: what is shown, sorted and filtered, keys, phones."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.browser.chromium import SCREENS, Chromium, View
from tests.exploration import NAMES, make_page

pytestmark = pytest.mark.browser

LAPTOP = View(1280, "light")
ON_SCREENS = pytest.mark.parametrize("view", SCREENS, ids=str)
READY = "return document.documentElement.dataset.ready && document.getElementById('details').dataset.row"
STATUS = "return document.getElementById('status').textContent"
SHOWN = "return [...document.querySelectorAll('#grid [role=option]')].map(option => option.getAttribute('aria-label'))"
SELECTED = "return Number(document.querySelector('#grid [aria-selected=true]').dataset.place)"
DETAILS = "return document.getElementById('details').innerText"
PLACES = """
return [...document.querySelectorAll('#grid .picture')].map(({style}) =>
  [style.backgroundImage, style.backgroundPosition, style.width, style.backgroundSize])
"""
SET = """
const field = document.getElementById(arguments[0])
if (field.type === 'checkbox') field.checked = arguments[1]; else field.value = arguments[1]
field.dispatchEvent(new Event('change', {bubbles: true}))
"""


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_page(tmp_path_factory.mktemp("explore"))


@pytest.fixture
def laptop(chromium: Chromium, page: Path) -> Chromium:
    chromium.show(page, LAPTOP)
    chromium.wait(READY)
    return chromium


def set_field(chromium: Chromium, values: Mapping[str, Any], expected: str) -> None:
    for field, value in values.items():
        chromium.ask(SET, field, value)
    chromium.wait(f"return document.getElementById('status').textContent === '{expected}'")


@ON_SCREENS
def test_it_opens_from_its_file_and_everybody_can_read_it(chromium: Chromium, page: Path, view: View) -> None:
    chromium.show(page, view)
    chromium.wait(READY)
    assert chromium.ask(STATUS) == "196 of 318 images"
    assert chromium.ask("return document.scrollingElement.scrollWidth - document.scrollingElement.clientWidth") <= 0
    asked = chromium.read_requests()
    assert [address for address in asked if not address.startswith((page.parent.as_uri(), "data:"))] == []
    assert chromium.read_complaints() == []
    grave = [found for found in chromium.find_violations() if found["impact"] in ("serious", "critical")]
    assert grave == []


def test_class_names_are_text_and_nothing_else(laptop: Chromium) -> None:
    set_field(laptop, {"kind-2": False, "kind-0": True}, "9 of 318 images")
    assert laptop.ask(SHOWN) == [f"training, {NAMES[row % 3]}" for row in range(9)]
    assert laptop.ask("return document.querySelectorAll('b').length") == 0
    set_field(laptop, {"class-name": NAMES[1]}, "3 of 318 images")
    set_field(laptop, {"class-name": "script"}, "3 of 318 images")
    assert NAMES[0] in laptop.ask(DETAILS)


def test_filters_and_order(laptop: Chromium) -> None:
    set_field(laptop, {"kind-2": False, "reason": "8"}, "100 of 318 images")  # choosing a reason shows rejected ones
    assert all(label.startswith("rejected, ") for label in laptop.ask(SHOWN))
    assert "wrong label: the scorer doubts its label" in laptop.ask(DETAILS)
    set_field(laptop, {"max-typicality": "0.5", "sort": "typicality"}, "17 of 318 images")
    values = [float(label.rpartition(" ")[2]) for label in laptop.ask(SHOWN)]
    assert values == sorted(values) and values[0] == 0.01 and max(values) <= 0.5
    set_field(laptop, {"descending": True}, "17 of 318 images")
    laptop.wait("return document.querySelector('#grid [role=option]').title.endsWith(' 0.49')")
    assert laptop.ask("return location.hash").endswith("sort=typicality&descending=1&typicality=-Infinity..0.5")
    set_field(laptop, {"image-id": "no such id"}, "0 of 318 images")
    assert "No image is selected" in laptop.ask(DETAILS)
    laptop.ask("document.getElementById('reset').click()")
    laptop.wait(f"{STATUS} === '196 of 318 images'")


def test_an_address_shows_the_same_again(laptop: Chromium) -> None:
    laptop.ask("location.hash = '#show=rejected&sort=typicality&typicality=0..0.5'")
    laptop.wait(f"{STATUS} === '17 of 318 images'")
    assert laptop.ask("return document.getElementById('max-typicality').value") == "0.5"
    assert laptop.ask("return document.getElementById('kind-2').checked") is False


def test_thumbnails_and_the_nearest_image_are_those_of_the_rows(laptop: Chromium) -> None:
    set_field(laptop, {f"kind-{kind}": True for kind in (0, 1, 2, 3, 4)}, "318 of 318 images")
    laptop.wait("return document.querySelectorAll('#grid .picture').length === 120")
    places = laptop.ask(PLACES)
    assert places[65] == [
        'url("sheets/0.png")',
        "-72px -72px",
        "72px",
        "4608px 4608px",
    ]  # 64 across, nine times as large
    text = laptop.ask(DETAILS)
    assert "real training image" in text and "nearest training image: " in text
    title = laptop.ask("return document.querySelector('.neighbour figcaption').textContent")
    laptop.ask("document.querySelector('.neighbour').click()")
    laptop.wait("return document.getElementById('details').dataset.row !== '0'")
    assert f"training: {title.partition(': ')[2]}" in laptop.ask(DETAILS)


def test_keys(laptop: Chromium) -> None:
    laptop.press("ESCAPE", "ARROW_RIGHT", "ARROW_RIGHT")
    assert laptop.ask(SELECTED) == 2
    laptop.press("n")
    laptop.wait("return document.getElementById('page').value === '2'")
    assert laptop.ask(SELECTED) == 120
    laptop.press("ARROW_LEFT")
    laptop.wait("return document.getElementById('page').value === '1'")
    assert laptop.ask(SELECTED) == 119
    laptop.press("HOME", "ARROW_DOWN", "ARROW_UP", "END")
    assert laptop.ask(SELECTED) == 119
    laptop.press("/")
    assert laptop.ask("return document.activeElement.id") == "class-name"
    laptop.press("t")  # typed
    laptop.wait(f"return document.getElementById('class-name').value === 't' && ({STATUS[7:]}) === '196 of 318 images'")
    laptop.press("ESCAPE")
    assert laptop.ask("return document.activeElement.getAttribute('role')") == "option"
    laptop.press("/", "n")  # typed, not turned; no accepted image has such a class
    laptop.wait(f"{STATUS} === '0 of 318 images'")
    laptop.press("ESCAPE")
    assert laptop.ask("return document.activeElement === document.body")
    laptop.press("?")
    assert laptop.ask("return document.getElementById('help').open") is True
    laptop.press("ESCAPE")
    assert laptop.ask("return document.getElementById('help').open") is False


def test_a_missing_file_is_told(chromium: Chromium, tmp_path: Path) -> None:
    page = make_page(tmp_path)
    (page.parent / "columns" / "label-0.js").unlink()
    chromium.show(page, LAPTOP)
    chromium.wait("return !document.getElementById('fault').hidden")
    said = chromium.ask("return document.getElementById('fault').textContent")
    assert said.startswith("columns/label-0.js is missing or cannot be read. ") and "growset explore" in said
