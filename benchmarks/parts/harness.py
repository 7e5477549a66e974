"""The harness of benchmarks: sides interleaved in one process, medians, results in one JSON file."""

from __future__ import annotations

import os
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ops.files.storage import write_json
from ops.machine.environment import describe_environment, processor_name
from ops.machine.parallel import available_cores

RESULTS = Path(__file__).parents[1] / "results"


@dataclass(frozen=True)
class Row:
    """One measured value; None if it could not be measured, with the reason as unit."""

    name: str
    value: float | None
    unit: str


def interleave(
    sides: Mapping[str, Callable[[], object]], *, repeats: int, clock: Callable[[], float] = time.perf_counter
) -> dict[str, float]:
    """Median seconds of each side over `repeats` rounds; every round runs all sides, after one unmeasured round."""
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for round_ in range(repeats + 1):
        for name, run in sides.items():
            started = clock()
            run()
            if round_:
                seconds[name].append(clock() - started)
    return {name: statistics.median(values) for name, values in seconds.items()}


@contextmanager
def use_cores(count: int) -> Iterator[None]:
    """Limit this process and its children to the last `count` of its allowed cores, with one thread on each."""
    import torch

    threads = torch.get_num_threads()
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(cores)[-count:])
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        os.sched_setaffinity(0, cores)


def write_result(benchmark: str, rows: list[Row], ratios: dict[str, float], **notes: Any) -> Path:
    """Write `results/<benchmark>.json` (design, contract 11); returns the path."""
    environment = describe_environment()
    path = RESULTS / f"{benchmark}.json"
    write_json(
        path,
        {
            "benchmark": benchmark,
            "commit": describe_commit(),
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "machine": {
                "cpu": processor_name(),
                "cores": available_cores(),
                "gpu": find_gpu(),
                "versions": environment["libraries"],
            },
            "rows": [vars(row) for row in rows],
            "ratios": {name: round(value, 3) for name, value in ratios.items()},
            **notes,
        },
    )
    return path


def describe_commit() -> str:
    """The commit that is checked out, with `-dirty` where files differ from it."""
    root = Path(__file__).parents[2]
    return subprocess.run(
        ["git", "-C", str(root), "describe", "--always", "--dirty"], capture_output=True, text=True, check=False
    ).stdout.strip()


def find_gpu() -> str | None:
    """The CUDA device's name, or None."""
    import torch

    return torch.cuda.get_device_name() if torch.cuda.is_available() else None
