"""Pictures for the README and the docs: a report's first screen on a telephone and on a laptop, light and dark, and the
page of `growset explore` on a laptop.

`make pictures` takes them of the demo and writes docs/pictures/{report-*-*,explore-1280-light}.png.
"""

from __future__ import annotations

import io
import sys
import tempfile
from pathlib import Path

from PIL import Image

from tests.browser.chromium import SCREENS, Chromium, View, open_chromium

FOLDER = Path(__file__).parents[2] / "docs" / "pictures"
LAPTOP = View(1280, "light")
READY = "return document.documentElement.dataset.ready && document.getElementById('details').dataset.row"


def take_pictures(report: Path, page: Path, folder: Path = FOLDER) -> list[Path]:
    """Write one PNG for each view of the report, and one of the page; returns their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    with tempfile.TemporaryDirectory() as name, open_chromium(Path(name) / "profile") as chromium:
        for view in SCREENS:
            chromium.show(report.resolve(strict=True), view)
            paths.append(_photograph(chromium, folder / f"report-{view}.png"))
        chromium.show(page.resolve(strict=True), LAPTOP)
        chromium.wait(READY)
        chromium.ask("location.hash = '#show=accepted&class=Ankle+boot&sort=train_distance'")
        chromium.wait("return document.querySelector('#grid [role=option]').title.includes('train distance')")
        paths.append(_photograph(chromium, folder / f"explore-{LAPTOP}.png"))
    return paths


def _photograph(chromium: Chromium, path: Path) -> Path:
    Image.open(io.BytesIO(chromium.photograph())).convert("RGB").save(path, optimize=True)
    return path


if __name__ == "__main__":
    for written in take_pictures(Path(sys.argv[1]), Path(sys.argv[2])):
        print(f"{written}: {written.stat().st_size / 1000:.0f} kB")
