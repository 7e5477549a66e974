"""The report in Chromium, on telephone, laptop and paper: nothing is cut off, nothing asked for, everybody can read it.

Each look at the page is tried on a planted fault first, so that a browser that sees nothing cannot pass.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tests.browser.chromium import PAPER, SCREENS, Chromium, View
from tests.reports import measure_contrast

pytestmark = pytest.mark.browser

EVERYWHERE = pytest.mark.parametrize("view", [*SCREENS, PAPER], ids=str)
ON_SCREENS = pytest.mark.parametrize("view", SCREENS, ids=str)
EVERY_PAGE = pytest.mark.parametrize("name", ["finished", "odd", "unused"])
PHONE = SCREENS[0]

OPEN_DETAILS = "for (const element of document.querySelectorAll('details')) element.open = true"
OVERFLOW = "const page = document.scrollingElement; return page.scrollWidth - page.clientWidth"
# Text that a chart paints beyond the page's edge is lost: nothing scrolls to the left, and a chart does not wrap.
LOST_CHART_TEXT = """
const width = document.scrollingElement.clientWidth
return [...document.querySelectorAll('svg[role=img] text')].filter(text => {
  const box = text.getBoundingClientRect()
  return box.width && (box.left < 0 || box.right > width)
}).map(text => text.textContent)
"""
# A table that is wider than its box has to be scrolled to be read.
HIDDEN_COLUMNS = """
return [...document.querySelectorAll('.scroll')].filter(box => box.scrollWidth > box.clientWidth + 1)
  .map(box => box.querySelector('caption b').textContent)
"""
# A caption may not scroll out of view, and a table that scrolls shows its first columns.
LOST_CAPTIONS = """
const width = document.scrollingElement.clientWidth
return [...document.querySelectorAll('caption > *')].filter(text => text.getBoundingClientRect().right > width + 1)
  .map(text => text.textContent)
"""
# One text over another; lines may come within a few pixels of each other.
OVERLAPPING_CHART_TEXT = """
const found = []
for (const chart of document.querySelectorAll('svg[role=img]')) {
  const texts = [...chart.querySelectorAll('text')].map(text => [text.textContent, text.getBoundingClientRect()])
  texts.forEach(([one, a], place) => texts.slice(place + 1).forEach(([other, b]) => {
    const across = Math.min(a.right, b.right) - Math.max(a.left, b.left)
    const down = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top)
    if (across > 0 && down > 4) found.push([one, other])
  }))
}
return found
"""
BROKEN_PICTURES = """
return [...document.images].filter(image => !(image.complete && image.naturalWidth && image.alt.trim()))
  .map(image => image.alt || image.src)
"""
COLOURS = """
const read = (element, property) => getComputedStyle(element)[property]
const shown = [...document.querySelectorAll('svg[role=img] text')].filter(text => text.getBoundingClientRect().width)
return {paper: read(document.body, 'backgroundColor'), ink: read(document.body, 'color'),
        chart: shown.map(text => read(text, 'fill'))}
"""
CHART_TITLES = """
return [...document.querySelectorAll('svg[role=img]')].map(chart => chart.querySelector('title')?.innerHTML)
"""
SHOWN_CHARTS = """
return ['.wide', '.narrow'].map(kind => [...document.querySelectorAll(kind + ' svg')]
  .filter(chart => chart.getBoundingClientRect().width).length)
"""
# axe does not judge text on a gradient, such as the shade at the edge of a table that scrolls.
PLAIN_BACKGROUNDS = """
const style = document.createElement('style')
style.textContent = '.scroll { background: none !important }'
document.head.append(style)
"""


def find_grave_faults(chromium: Chromium) -> list[str]:
    """What axe calls serious or critical: the rule and the element."""
    return [
        f"{found['id']}: {node['html'][:200]} {node['failureSummary']}"
        for found in chromium.find_violations()
        if found["impact"] in ("serious", "critical")
        for node in found["nodes"]
    ]


def to_hex(colour: str) -> str:
    """`rgb(1, 2, 3)` as #010203; the report paints nothing half transparent."""
    parts = re.fullmatch(r"rgb\((\d+), (\d+), (\d+)\)", colour)
    assert parts, colour
    return "#" + "".join(f"{int(part):02x}" for part in parts.groups())


def test_faults_are_seen(chromium: Chromium, write_page: Callable[[str], Path]) -> None:
    page = write_page(
        '<img src="http://127.0.0.1:9/none.png"><p style="color: #bbb; background: #fff">Too pale to be read</p>'
        '<div style="width: 600px">Too wide for a telephone</div><script>console.error("a mistake")</script>'
        '<div class="scroll" style="width: 300px; overflow-x: auto"><table style="width: 900px"><caption><b'
        ' style="display: block; width: 900px">wide</b></caption></table></div>'
        '<svg role="img" width="300" height="20"><text x="-40" y="15">cut off</text></svg>'
        '<svg role="img" width="300" height="20"><text y="15">over</text><text x="5" y="12">each other</text></svg>'
    )
    chromium.show(page, PHONE)
    assert chromium.ask(OVERFLOW) > 200
    assert chromium.ask(LOST_CHART_TEXT) == ["cut off"]
    assert chromium.ask(OVERLAPPING_CHART_TEXT) == [["over", "each other"]]
    assert chromium.ask(HIDDEN_COLUMNS) == ["wide"] and chromium.ask(LOST_CAPTIONS) == ["wide"]
    assert chromium.ask(BROKEN_PICTURES) == ["http://127.0.0.1:9/none.png"]
    assert "http://127.0.0.1:9/none.png" in chromium.read_requests()
    assert any("a mistake" in complaint for complaint in chromium.read_complaints())
    assert {fault.partition(":")[0] for fault in find_grave_faults(chromium)} >= {"image-alt", "color-contrast"}


@EVERY_PAGE
@EVERYWHERE
def test_nothing_is_cut_off(chromium: Chromium, reports: Mapping[str, Path], name: str, view: View) -> None:
    chromium.show(reports[name], view)
    chromium.ask(OPEN_DETAILS)
    assert chromium.ask(OVERFLOW) <= 0
    assert chromium.ask(LOST_CHART_TEXT) == []
    assert chromium.ask(OVERLAPPING_CHART_TEXT) == []


@EVERY_PAGE
@ON_SCREENS
def test_tables_fit_a_laptop_and_their_captions_a_telephone(
    chromium: Chromium, reports: Mapping[str, Path], name: str, view: View
) -> None:
    chromium.show(reports[name], view)
    chromium.ask(OPEN_DETAILS)
    assert chromium.ask(LOST_CAPTIONS) == []
    if view.width >= 1280:
        assert chromium.ask(HIDDEN_COLUMNS) == []


@EVERY_PAGE
@EVERYWHERE
def test_everybody_can_read_it(chromium: Chromium, reports: Mapping[str, Path], name: str, view: View) -> None:
    chromium.show(reports[name], view)
    chromium.ask(OPEN_DETAILS)
    chromium.ask(PLAIN_BACKGROUNDS)
    assert find_grave_faults(chromium) == []


@EVERY_PAGE
@EVERYWHERE
def test_nothing_but_the_page_is_asked_for(
    chromium: Chromium, reports: Mapping[str, Path], name: str, view: View
) -> None:
    chromium.show(reports[name], view)
    addresses = chromium.read_requests()
    assert reports[name].as_uri() in addresses
    assert [a for a in addresses if a != reports[name].as_uri() and not a.startswith("data:")] == []
    assert chromium.read_complaints() == []


@EVERY_PAGE
@EVERYWHERE
def test_pictures_are_there_and_told_in_words(
    chromium: Chromium, reports: Mapping[str, Path], name: str, view: View
) -> None:
    chromium.show(reports[name], view)
    assert chromium.ask("return document.images.length") >= 4
    assert chromium.ask(BROKEN_PICTURES) == []
    titles = chromium.ask(CHART_TITLES)
    assert len(titles) > 4 and all(titles)
    wide, narrow = chromium.ask(SHOWN_CHARTS)
    # Where sizes differ much, classes are drawn over their size; where a curve was asked for, accuracy over steps.
    shown = 5 if name == "odd" else 3
    assert (wide, narrow) == ((0, shown) if view.width < 500 else (shown, 0))


@ON_SCREENS
def test_the_page_is_as_dark_as_the_reader_prefers(chromium: Chromium, reports: Mapping[str, Path], view: View) -> None:
    chromium.show(reports["finished"], view)
    colours = chromium.ask(COLOURS)
    paper, ink = to_hex(colours["paper"]), to_hex(colours["ink"])
    dark, light = (paper, ink) if view.scheme == "dark" else (ink, paper)
    assert measure_contrast(dark, "#000000") < 1.5 and measure_contrast(light, "#ffffff") < 1.5
    # axe reads no text in SVG.
    assert len(colours["chart"]) > 5
    assert min(measure_contrast(to_hex(colour), paper) for colour in colours["chart"]) >= 4.5


def test_paper_is_white_whatever_the_screen(chromium: Chromium, reports: Mapping[str, Path]) -> None:
    chromium.show(reports["finished"], PAPER)
    colours = chromium.ask(COLOURS)
    assert to_hex(colours["paper"]) == "#ffffff"
    texts = [to_hex(colour) for colour in (colours["ink"], *colours["chart"])]
    assert min(measure_contrast(text, "#ffffff") for text in texts) >= 4.5
