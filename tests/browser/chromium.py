"""Debian's Chromium for tests and pictures of our pages and of the Dagster UI: one headless process that shows a page
as a reader would see it, clicks in it, and tells what it asked for, complained about and got wrong.

`make test-browser` installs it.

Selenium is imported when a browser is opened, so that the default suite can be collected without it.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

CHROMIUM, DRIVER = Path("/usr/bin/chromium"), Path("/usr/bin/chromedriver")
# The wheel is unpacked beside the environment's packages: of it only this file is wanted, not its browser client.
AXE = Path(sys.prefix) / "axe" / "axe_playwright_python" / "axe.min.js"
FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
    "--hide-scrollbars",
)  # fmt: skip
SHOWN = "const shown = element => element.getClientRects().length > 0\n"
HEIGHTS = {390: 844, 1280: 900, 717: 1040}  # a telephone, a laptop, the text of an A4 page


def find_link(address: str) -> str:
    """The body of a function that returns the link whose address ends so."""
    return SHOWN + f"return [...document.querySelectorAll('a[href$={json.dumps(address)}]')].find(shown)"


def find_button(text: str) -> str:
    """The body of a function that returns the button, tab or link with this text and no other."""
    return SHOWN + (
        "return [...document.querySelectorAll('a, button')]"
        f".find(element => shown(element) && element.innerText.trim() === {json.dumps(text)})"
    )


@dataclass(frozen=True)
class View:
    """How a reader looks at a page."""

    width: int
    scheme: Literal["light", "dark"]
    media: Literal["screen", "print"] = "screen"

    def __str__(self) -> str:
        return f"{self.width}-{self.scheme}" if self.media == "screen" else f"print-{self.scheme}"


SCREENS = tuple(View(width, scheme) for width in (390, 1280) for scheme in ("light", "dark"))
PAPER = View(717, "dark", "print")  # printed by somebody whose screen is dark


class Chromium:
    """One browser window; each `show` loads a page anew and forgets what the last one did."""

    def __init__(self, driver: Chrome) -> None:
        self._driver = driver

    def show(self, page: Path | str, view: View) -> None:
        """Load a file, or an address."""
        features = [{"name": "prefers-color-scheme", "value": view.scheme}]
        size = {"width": view.width, "height": HEIGHTS[view.width], "deviceScaleFactor": 1}
        self._driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {**size, "mobile": view.width < 500})
        self._driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": view.media, "features": features})
        self._driver.get("about:blank")
        for log in ("performance", "browser"):
            self._driver.get_log(log)  # reading a log empties it
        self._driver.get(page if isinstance(page, str) else page.as_uri())

    def ask(self, script: str, *arguments: Any) -> Any:
        """The value that the body of a JavaScript function returns in the page."""
        return self._driver.execute_script(script, *arguments)

    def ask_later(self, script: str, *arguments: Any) -> Any:
        """The value that a function hands to its last argument, which is a function, in its own time."""
        return self._driver.execute_async_script(script, *arguments)

    def wait(self, script: str, seconds: float = 30) -> Any:
        """The first value of this body of a function that is true; TimeoutException if there is none in time."""
        from selenium.webdriver.support.ui import WebDriverWait

        return WebDriverWait(self._driver, seconds, poll_frequency=0.05).until(lambda _: self.ask(script))

    def click(self, script: str, seconds: float = 30) -> None:
        """Click the first element that this body of a function returns; TimeoutException if there is none in time.

        A page that fetches its content replaces elements while it is looked at: then the new one is clicked.
        """
        from selenium.common.exceptions import ElementClickInterceptedException, StaleElementReferenceException

        deadline = time.monotonic() + seconds
        while True:
            try:
                self.wait(script, max(0.0, deadline - time.monotonic())).click()
                return
            except (ElementClickInterceptedException, StaleElementReferenceException):
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)

    @contextmanager
    def in_new_window(self, script: str) -> Iterator[None]:
        """Click a link that opens a window of its own, and look at that window for a while."""
        from selenium.webdriver.support.ui import WebDriverWait

        before = self._driver.current_window_handle
        others = set(self._driver.window_handles)
        self.click(script)
        WebDriverWait(self._driver, 30).until(lambda driver: len(driver.window_handles) > len(others))
        self._driver.switch_to.window((set(self._driver.window_handles) - others).pop())
        try:
            yield
        finally:
            self._driver.close()
            self._driver.switch_to.window(before)

    def press(self, *keys: str) -> None:
        """Press keys one after another, wherever the focus is; a name such as ARROW_LEFT is that key."""
        from selenium.webdriver import ActionChains
        from selenium.webdriver.common.keys import Keys

        for key in keys:
            ActionChains(self._driver).send_keys(getattr(Keys, key) if len(key) > 1 else key).perform()

    def read_requests(self) -> list[str]:
        """Every address that the page asked for since it was shown, its own among them."""
        entries = [json.loads(entry["message"])["message"] for entry in self._driver.get_log("performance")]
        return [e["params"]["request"]["url"] for e in entries if e["method"] == "Network.requestWillBeSent"]

    def read_complaints(self) -> list[str]:
        """What the console says at the level of warnings and errors since the page was shown."""
        return [e["message"] for e in self._driver.get_log("browser") if e["level"] in ("WARNING", "SEVERE")]

    def find_violations(self) -> list[Mapping[str, Any]]:
        """What axe finds against the rules of accessibility, with the elements it finds it in."""
        self._driver.execute_script(AXE.read_text(encoding="utf-8"))
        run = "const done = arguments[0]; axe.run({resultTypes: ['violations']}).then(found => done(found.violations))"
        found: list[Mapping[str, Any]] = self._driver.execute_async_script(run)
        return found

    def photograph(self) -> bytes:
        """What the window shows, as PNG."""
        return self._driver.get_screenshot_as_png()


@contextmanager
def open_chromium(profile: Path) -> Iterator[Chromium]:
    """A browser with an empty profile in the folder `profile`, which must not exist yet."""
    missing = [str(path) for path in (CHROMIUM, DRIVER, AXE) if not path.exists()]
    if missing:
        raise FileNotFoundError(f"{', '.join(missing)}: `make test-browser` installs what is missing")
    # Belt and braces: with both paths given, selenium has nothing to look for and nobody to tell.
    os.environ |= {"SE_OFFLINE": "true", "SE_AVOID_STATS": "true"}
    from selenium.webdriver import Chrome, ChromeOptions
    from selenium.webdriver.chrome.service import Service

    options = ChromeOptions()
    options.binary_location = str(CHROMIUM)
    for flag in (*FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    driver = Chrome(options=options, service=Service(str(DRIVER)))
    try:
        driver.set_page_load_timeout(30)
        driver.set_script_timeout(60)
        yield Chromium(driver)
    finally:
        driver.quit()
