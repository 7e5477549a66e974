"""Seconds until the Dagster code location is loaded, in a fresh process each time."""

from __future__ import annotations

import statistics
import subprocess
import sys
from pathlib import Path

from benchmarks.harness import Row, write_result

LOAD = """
import time
started = time.perf_counter()
from pipelines.definitions import defs
from dagster import Definitions
Definitions.validate_loadable(defs())
print(time.perf_counter() - started)
"""


def run() -> Path:
    """Measure seven loads, write results/code_location.json."""
    root = Path(__file__).parents[1]
    seconds = [
        float(subprocess.run([sys.executable, "-c", LOAD], cwd=root, check=True, capture_output=True, text=True).stdout)
        for _ in range(7)
    ]
    rows = [
        Row("code_location_load_seconds", round(statistics.median(seconds), 2), "s, median of 7"),
        Row("slowest", round(max(seconds), 2), "s"),
    ]
    return write_result("code_location", rows, {})
