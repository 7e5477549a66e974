"""One Chromium for all tests of the browser, and the reports that it is shown."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from ops.report.page import render_page
from tests.browser.chromium import Chromium, open_chromium
from tests.reports import make_odd_facts, make_unused_facts


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    with open_chromium(tmp_path_factory.mktemp("chromium") / "profile") as browser:
        yield browser


@pytest.fixture(scope="session")
def reports(_finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """The report of a chain that ran, one whose names and figures try to break the page, and one of a generator that
    was not used."""
    (finished,) = _finished.glob("data/digits/report/report.html")
    pages = {"finished": finished}
    for name, facts in (("odd", make_odd_facts()), ("unused", make_unused_facts())):
        pages[name] = tmp_path_factory.mktemp(name) / "report.html"
        pages[name].write_text(render_page(facts), encoding="utf-8")
    return pages


@pytest.fixture
def write_page(tmp_path: Path) -> Callable[[str], Path]:
    """A page with this body, for trying whether a fault is seen."""

    def write(body: str) -> Path:
        path = tmp_path / "page.html"
        head = '<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>A page</title>'
        path.write_text(f'<!doctype html><html lang="en"><head>{head}</head><body>{body}</body></html>')
        return path

    return write
