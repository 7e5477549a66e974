"""Seconds to load the Dagster code location, and seconds of `growset check`; a fresh process each time."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.parts.harness import Row, write_result

RUNS = 7
LOAD = """
import time
started = time.perf_counter()
from pipelines.definitions import defs
from dagster import Definitions
Definitions.validate_loadable(defs())
print(time.perf_counter() - started)
"""


def run() -> Path:
    """Measure RUNS loads and checks, write results/code_location.json."""
    root = Path(__file__).parents[1]
    seconds = [
        float(subprocess.run([sys.executable, "-c", LOAD], cwd=root, check=True, capture_output=True, text=True).stdout)
        for _ in range(RUNS)
    ]
    checks = [time_check(root) for _ in range(RUNS)]
    rows = [
        Row("code_location_load_seconds", round(statistics.median(seconds), 2), f"s, median of {RUNS}"),
        Row("slowest", round(max(seconds), 2), "s"),
        Row("check_seconds", round(statistics.median(checks), 2), f"s, median of {RUNS}"),
    ]
    return write_result("code_location", rows, {})


def time_check(root: Path) -> float:
    """Seconds of `growset check` of the demo; without an earlier record it reads the images of the source."""
    with tempfile.TemporaryDirectory() as name:
        for folder in ("recipes", "sources", "examples"):
            (Path(name) / folder).symlink_to(root / folder)
        (Path(name) / "params.yaml").write_bytes((root / "params.yaml").read_bytes())
        command = [sys.executable, "-m", "pipelines.cli.main", "--workspace", name, "check", "fashion-flow"]
        started = time.perf_counter()
        subprocess.run(command, cwd=root, check=True, stdout=subprocess.DEVNULL)
        return time.perf_counter() - started
