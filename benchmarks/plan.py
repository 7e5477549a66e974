"""Seconds from `growset plan` to its first answer, the table of classes with an estimate; a fresh process each time.

Two sources: the demo's 1,000 images of 28 pixels, and 20,000 image files of 64 pixels in class folders.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.parts.harness import Row, write_result

RUNS = 5
IMAGES, CLASSES, SIDE = 20_000, 10, 64
ANSWER = "first estimate"  # of the line that ends the first answer
ROOT = Path(__file__).parents[1]


def run() -> Path:
    """Time RUNS first answers for each source, write results/plan.json."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        call("init", str(folder / "demo"), "--example")
        write_images(folder / "images")
        call("init", str(folder / "large"), "--source", str(folder / "images"))
        found = {
            label: [time_first_answer(folder / label, expansion) for _ in range(RUNS)]
            for label, expansion in (("demo", "fashion-flow"), ("large", "images"))
        }
    rows = [
        *(Row(label, round(statistics.median(seconds), 2), f"s, median of {RUNS}") for label, seconds in found.items()),
        *(Row(f"{label}, slowest", round(max(seconds), 2), "s") for label, seconds in found.items()),
    ]
    return write_result("plan", rows, {"plan_first_answer_seconds": round(statistics.median(found["large"]), 2)})


def write_images(folder: Path) -> None:
    """Class folders of PNG files: noise of few levels, which a decoder takes as long for as for pictures."""
    rng = np.random.default_rng(0)
    for number in range(CLASSES):
        place = folder / f"class-{number}"
        place.mkdir(parents=True)
        for image in range(IMAGES // CLASSES):
            pixels = rng.integers(0, 16, (SIDE, SIDE, 3), dtype=np.uint8) * 16
            Image.fromarray(pixels).save(place / f"{image:05}.png", compress_level=1)


def call(*arguments: str) -> None:
    subprocess.run(command(*arguments), cwd=ROOT, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "pipelines.cli.main", *arguments]


def time_first_answer(workspace: Path, expansion: str) -> float:
    """Seconds until the line of the first estimate; the measurements that follow are cut off."""
    started = time.perf_counter()
    with subprocess.Popen(
        command("--workspace", str(workspace), "plan", expansion), cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if ANSWER in line:
                seconds = time.perf_counter() - started
                process.terminate()
                return seconds
    raise RuntimeError(f"growset plan {expansion} ended without '{ANSWER}'")
