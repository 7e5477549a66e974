"""A million images of 28 x 28 from noise to synced Parquet on two cores: minutes, rate, memory of all processes.

The demo's network, untrained, in int8 with two evaluations per image, runs through the code of the stage and of
`growset generate`. A smaller count goes first, in fp32 too: it shows the gain of int8, and whether memory and rate
depend on the count.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.parts.flops import count_flops
from benchmarks.parts.harness import Row, write_result
from benchmarks.parts.untrained import export_untrained
from benchmarks.parts.utilisation import describe_utilisation, measure_matmul
from ops.generators.folder import variant_name
from ops.generators.onnx.variants import quantise_sampler
from ops.machine.parallel import available_cores

COUNTS = (50_000, 1_000_000)  # the first in fp32 as well
MILLION = 1_000_000
SOLVER, STEPS = "euler", 2
PAUSE = 0.05  # seconds between two measurements of memory
CODE = """
import json, sys
from pathlib import Path
from ops.drawing.drawn_dataset import draw_dataset
from ops.stages.materialization import Runtime
if __name__ == "__main__":
    sampler, target, count, workers = sys.argv[1:]
    drawn = draw_dataset(Path(sampler), Path(target), count=int(count), labels=(), seed=0, form="parquet",
                         runtime=Runtime(provider="cpu", workers=int(workers)))
    print(json.dumps([sum(drawn.classes.values()), drawn.seconds, drawn.files]))
"""


@dataclass
class Peak:
    """The most memory that a process and its descendants held at one time, in bytes of resident memory."""

    bytes: int = 0


def run(counts: Sequence[int] = COUNTS) -> Path:
    """Measure, write results/million_generated.json; minutes are scaled to a million from the largest count."""
    workers, rows, matmuls = min(2, available_cores()), [], []
    with tempfile.TemporaryDirectory() as name:
        fp32 = export_untrained(Path(name) / "generator", solver=SOLVER, steps=STEPS)
        flops = count_flops(fp32)
        assert flops is not None
        int8 = fp32.with_name(variant_name(fp32, "int8"))
        quantise_sampler(fp32, int8)
        for sampler, count in [(fp32, counts[0]), *((int8, count) for count in counts)]:
            label = f"{'fp32' if sampler == fp32 else 'int8'}, {count:,}"
            matmuls.append(measure_matmul())
            started = time.monotonic()
            seconds, peak, files = generate(sampler, Path(name) / label, count, workers)
            whole = time.monotonic() - started  # includes start of the interpreter, inspection and card
            matmuls.append(measure_matmul())
            used = describe_utilisation(flops, count, seconds, processes=workers, matmul=sum(matmuls[-2:]) / 2)
            rows += [
                Row(f"{label}: whole command", round(whole, 1), "s"),
                Row(f"{label}: drawn, encoded and written", round(count / seconds, 1), f"images/s on {workers} cores"),
                Row(f"{label}: memory of all processes", round(peak / 2**20), "MB"),
                Row(f"{label}: files", files, "files"),
                Row(f"{label}: achieved", round(used.achieved, 1), "GFLOP/s"),
                Row(f"{label}: matrix product", round(used.matmul, 1), "GFLOP/s"),
                Row(f"{label}: of the matrix product", round(used.of_matmul, 3), "share"),
            ]
    return write_result(
        "million_generated",
        rows,
        {"million_images_minutes": whole * MILLION / counts[-1] / 60},
        images=counts[-1],
        flops_per_image=flops,
        used_cores=workers,
    )


def generate(sampler: Path, target: Path, count: int, workers: int) -> tuple[float, int, int]:
    """Draw in a process of its own: seconds of drawing and writing, peak bytes of all processes, and files."""
    script = sampler.parent / "generate.py"
    script.write_text(CODE, encoding="utf-8")
    root = Path(__file__).parents[1]
    command = [sys.executable, str(script), str(sampler), str(target), str(count), str(workers)]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    with (
        subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True, env=environment) as process,
        watch_memory(process.pid) as peak,
    ):
        output, _ = process.communicate()
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    written, seconds, files = json.loads(output.splitlines()[-1])
    if written != count:
        raise RuntimeError(f"{written} images were written instead of {count}")
    return seconds, peak.bytes, files


@contextmanager
def watch_memory(pid: int, *, pause: float = PAUSE) -> Iterator[Peak]:
    """The peak while the block runs; pages shared by several processes count once for each."""
    peak, ended = Peak(), threading.Event()
    process = psutil.Process(pid)

    def look() -> None:
        while not ended.wait(pause):
            held = 0
            try:
                for one in (process, *process.children(recursive=True)):
                    held += one.memory_info().rss
            except psutil.NoSuchProcess:  # it ended between listing and measuring
                continue
            peak.bytes = max(peak.bytes, held)

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield peak
    finally:
        ended.set()
        thread.join()
