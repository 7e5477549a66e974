"""What running costs beside the work: no-op assets, a chain's share, an unchanged run, the help, queued runs.

The chain is the recipe `smoke` in a clean clone of this repository. With `--folder` the clone is kept there and its
chain is not run again. `--queued N` starts the UI on the clone and launches N runs that have nothing to do; it is
left out without the option. Processor seconds are those of the command and of the processes it has waited for; on a
busy machine they tell more than the seconds on the clock.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.parts import noop_job
from benchmarks.parts.harness import Row, write_result
from ops.files.storage import read_json
from ops.workspaces.workspace import Workspace

ROOT = Path(__file__).parents[1]
EXPANSION = "smoke"
RUNS = 5  # repetitions of what takes seconds; the slow executor runs once
PATIENCE = 3600  # seconds for all queued runs beyond two minutes each
NAMED = {
    "orchestration_15_assets_seconds": "noop_assets_in_process",
    "orchestration_share_percent": "orchestration_share",
    "unchanged_run_seconds": "unchanged_run_seconds",
    "help_seconds": "help_seconds",
    "queued_runs_minutes": "queued_runs_minutes",
}
UNFINISHED_STATES = ("QUEUED", "NOT_STARTED", "STARTING", "STARTED", "CANCELING")


def run(folder: Path | None = None, queued: int | None = None) -> Path:
    """Measure, write results/orchestration.json."""
    with tempfile.TemporaryDirectory() as name:
        clone = (folder or Path(name) / "growset").absolute()
        if not clone.exists():
            subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
        rows = [*measure_noop(), *measure_chain(clone), *measure_help()]
        if queued:
            rows += measure_queue(clone, queued)
    return write_result("orchestration", rows, name_ratios(rows))


def name_ratios(rows: Sequence[Row]) -> dict[str, float]:
    """The figures that other documents name; those that were not measured are left out."""
    found = {row.name: row.value for row in rows}
    named = {name: found.get(row) for name, row in NAMED.items()}
    return {name: value for name, value in named.items() if value is not None}


def time_command(arguments: Sequence[str]) -> tuple[float, float]:
    """Seconds on the clock and processor seconds of a `growset` command that succeeds."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    environment.pop("DAGSTER_HOME", None)
    started = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "pipelines.cli.main", *arguments], cwd=ROOT, env=environment, stdout=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, process.args)
    return time.perf_counter() - started, usage.ru_utime + usage.ru_stime


def measure_noop() -> list[Row]:
    """Runs of assets that do nothing, as a run worker of the UI makes them; the first has the imports."""
    rows = []
    for kind, runs in (("in_process", RUNS), ("multiprocess", 1)):
        with tempfile.TemporaryDirectory() as name:
            noop_job.prepare(Path(name))
            environment = {**os.environ, "PYTHONPATH": str(ROOT), "GROWSET_EXECUTOR": kind}
            environment.pop("DAGSTER_HOME", None)
            done = subprocess.run(
                [sys.executable, "-m", "benchmarks.parts.noop_job", name, str(1 + runs)],
                cwd=name,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,  # Dagster prints each event
                check=True,
            )
        seconds = json.loads(done.stdout)[1:]
        unit = f"s, {noop_job.COUNT} assets, median of {runs}"
        rows.append(Row(f"noop_assets_{kind}", round(statistics.median(clock for clock, _ in seconds), 2), unit))
        if kind == "in_process":
            cpu = statistics.median(cpu for _, cpu in seconds)
            rows.append(Row(f"noop_assets_{kind}_cpu", round(cpu, 2), f"{unit}, of the processor"))
    return rows


def measure_chain(clone: Path) -> list[Row]:
    """The share of a whole run that no stage's work takes, if it runs now; then runs that find nothing to do."""
    rows = []
    command = ("--workspace", str(clone), "run", EXPANSION)
    timings = clone / ".growset" / "timings" / f"{EXPANSION}.json"
    if not timings.exists():
        clock, _ = time_command(command)
        worked = sum(read_json(timings).values())
        rows = [
            Row("chain_seconds", round(clock, 1), f"s, {EXPANSION}"),
            Row("orchestration_share", round(100 * (1 - worked / clock), 1), "% of the chain's seconds"),
        ]
    unchanged = [time_command(command) for _ in range(RUNS)]
    return rows + _rows("unchanged_run", unchanged)


def measure_help() -> list[Row]:
    """`growset --help`."""
    return _rows("help", [time_command(["--help"]) for _ in range(RUNS)])


def _rows(name: str, seconds: Sequence[tuple[float, float]]) -> list[Row]:
    clock, cpu = (statistics.median(side) for side in zip(*seconds, strict=True))
    unit = f"s, median of {len(seconds)}"
    return [
        Row(f"{name}_seconds", round(clock, 2), unit),
        Row(f"{name}_cpu", round(cpu, 2), f"{unit}, of the processor"),
    ]


def measure_queue(clone: Path, count: int) -> list[Row]:
    """Launch `count` runs in the UI, each of the whole chain and with nothing to do, and wait for all of them."""
    import dagster as dg

    from tests.ui import serve

    Workspace(clone).edit_params(history={"runs": 2 * count})  # so that none is pruned before it is counted
    statuses = [dg.DagsterRunStatus[state] for state in UNFINISHED_STATES]
    with serve(clone) as client, dg.DagsterInstance.from_config(str(clone / ".growset" / "dagster")) as instance:
        started, most = time.perf_counter(), 0
        ids = [client.launch(EXPANSION) for _ in range(count)]
        launched = time.perf_counter() - started
        while instance.get_runs_count(dg.RunsFilter(run_ids=ids, statuses=statuses)):
            most = max(most, instance.get_runs_count(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED])))
            if time.perf_counter() - started > PATIENCE + 120 * count:
                raise TimeoutError(f"runs are left after {time.perf_counter() - started:.0f} s")
            time.sleep(1)
        seconds = time.perf_counter() - started
        succeeded = instance.get_runs_count(dg.RunsFilter(run_ids=ids, statuses=[dg.DagsterRunStatus.SUCCESS]))
    return [
        Row("queued_runs", count, "runs with nothing to do"),
        Row("queued_runs_succeeded", succeeded, "runs"),
        Row("queued_runs_launch_seconds", round(launched, 1), "s to put all into the queue"),
        Row("queued_runs_minutes", round(seconds / 60, 2), "minutes until the last had ended"),
        Row("queued_runs_at_once", most, "runs at most"),
    ]
