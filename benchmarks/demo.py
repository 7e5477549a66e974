"""`growset run fashion-flow` in a clean clone, as `make demo` runs it after installation; then once more, unchanged."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.parts.harness import Row, write_result
from ops.files.outputs import REPORT, VERDICT
from ops.files.storage import read_json

EXPANSION = "fashion-flow"


def run() -> Path:
    """Measure both runs, write results/demo.json with the seconds per stage and the verdict's sentence."""
    root = Path(__file__).parents[1]
    with tempfile.TemporaryDirectory() as name:
        clone = Path(name) / "growset"
        subprocess.run(["git", "clone", "--quiet", str(root), str(clone)], check=True)
        environment = {
            **os.environ,
            "PYTHONPATH": str(clone),
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        }

        def timed() -> float:
            started = time.perf_counter()
            subprocess.run(["growset", "run", EXPANSION], cwd=clone, env=environment, check=True)
            return time.perf_counter() - started

        first, second = timed(), timed()  # the second one takes no stage's time
        report = (clone / "data" / EXPANSION / "report" / REPORT).stat().st_size
        stages = read_json(clone / ".growset" / "timings" / f"{EXPANSION}.json")
        verdict = read_json(clone / "data" / EXPANSION / "verdict" / VERDICT)
    share = round(100 * (1 - sum(stages.values()) / first), 1)
    rows = [
        Row("demo_seconds", round(first, 1), "s"),
        Row("unchanged_run_seconds", round(second, 2), "s"),
        Row("orchestration_share", share, "% of the demo's seconds that no stage's work takes"),
        Row("report_megabytes", round(report / 1e6, 2), "MB"),
        *(Row(stage, seconds, "s") for stage, seconds in stages.items()),
    ]
    arms = {row["arm"]: row["score"] for row in verdict["arms"]}
    return write_result(
        "demo",
        rows,
        {"demo_seconds": round(first, 1), "orchestration_share_percent": share},
        sentence=verdict["sentence"],
        arms=arms,
    )
