"""Pictures of a report for the README: the first screen on a telephone and on a laptop, light and dark.

`make pictures` takes them of the demo's report and writes docs/pictures/report-{390,1280}-{light,dark}.png.
"""

from __future__ import annotations

import io
import sys
import tempfile
from pathlib import Path

from PIL import Image

from tests.browser.chromium import SCREENS, open_chromium

FOLDER = Path(__file__).parents[2] / "docs" / "pictures"


def take_pictures(report: Path, folder: Path = FOLDER) -> list[Path]:
    """Write one PNG for each view of a screen; returns their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    with tempfile.TemporaryDirectory() as name, open_chromium(Path(name) / "profile") as chromium:
        for view in SCREENS:
            chromium.show(report.resolve(strict=True), view)
            path = folder / f"report-{view}.png"
            Image.open(io.BytesIO(chromium.photograph())).convert("RGB").save(path, optimize=True)
            paths.append(path)
    return paths


if __name__ == "__main__":
    for written in take_pictures(Path(sys.argv[1])):
        print(f"{written}: {written.stat().st_size / 1000:.0f} kB")
