"""Pictures for the README and the docs: a report's first screen on a telephone and on a laptop, light and dark; on a
laptop the page of `growset explore` and two pages of the Dagster UI.

`make pictures` takes them of the demo and writes docs/pictures/{report-*-*,explore-1280-light,ui-*-1280-light}.png.
"""

from __future__ import annotations

import io
import sys
import tempfile
import time
from pathlib import Path

from PIL import Image

from ops.workspaces.names import identifier
from tests.browser.chromium import SCREENS, Chromium, View, find_button, open_chromium
from tests.ui import serve

FOLDER = Path(__file__).parents[2] / "docs" / "pictures"
LAPTOP = View(1280, "light")
READY = "return document.documentElement.dataset.ready && document.getElementById('details').dataset.row"
SETTLE = 5  # seconds until the graph has its colours
COMPLETE = "return document.images.length && [...document.images].every(image => image.complete)"
DRAWN = "return document.body.innerText.split('expansion_plan').length > 3"  # twice in the list, once in the graph


def take_pictures(root: Path, expansion: str, folder: Path = FOLDER) -> list[Path]:
    """Write PNGs of an expansion whose chain has run in the workspace `root`; returns their paths."""
    report = root / "data" / expansion / "report" / "report.html"
    page = root / ".growset" / "explore" / expansion / "index.html"
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
        with serve(root, Path(name) / "ui.log") as client:
            chromium.show(f'{client.origin}/asset-groups~group%3A"{identifier(expansion)}"', LAPTOP)
            chromium.click(find_button("Hide navigation"))
            chromium.wait(DRAWN)
            time.sleep(SETTLE)
            paths.append(_photograph(chromium, folder / f"ui-chain-{LAPTOP}.png"))
            chromium.show(f"{client.origin}/assets/{expansion}/accepted_images", LAPTOP)
            chromium.wait(COMPLETE)
            paths.append(_photograph(chromium, folder / f"ui-asset-{LAPTOP}.png"))
    return paths


def _photograph(chromium: Chromium, path: Path) -> Path:
    Image.open(io.BytesIO(chromium.photograph())).convert("RGB").save(path, optimize=True)
    return path


if __name__ == "__main__":
    for written in take_pictures(Path.cwd(), sys.argv[1]):
        print(f"{written}: {written.stat().st_size / 1000:.0f} kB")
