"""The long run of tests/pipelines/test_kills.py: how many real runs were killed or stopped and then completed.

It takes half an hour or more; GROWSET_KILLS=4 runs a tenth of it.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from benchmarks.parts.harness import Row, write_result

TESTS = "tests/pipelines/test_kills.py"


def run() -> Path:
    """Run the campaign and write results/kills.json; CalledProcessError, with the tests' output shown, if one fails."""
    command = [sys.executable, "-m", "pytest", "-q", "-s", "-m", "slow", TESTS]
    with subprocess.Popen(command, cwd=Path(__file__).parents[1], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            print(line, end="", flush=True)
            lines.append(line.rstrip("\n"))
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return write_campaign(lines)


def write_campaign(lines: list[str]) -> Path:
    """The result file from what the tests printed: the seed, the count, and after it one line for each kill."""
    seed = next(line.partition("=")[2] for line in lines if "GROWSET_KILL_SEED=" in line)
    start = next(i for i, line in enumerate(lines) if "kills_survived: " in line)
    survived = int(lines[start].rpartition(" ")[2])
    kills = [line.strip() for line in lines[start + 1 : start + 1 + survived]]
    return write_result(
        "kills",
        [Row("kills_survived", survived, "of as many")],
        {"kills_survived": survived},
        seed=int(seed),
        kills=kills,
    )
