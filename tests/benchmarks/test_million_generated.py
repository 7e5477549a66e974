"""The benchmark of a million generated images, at a hundred: it counts them and sees the memory of every process."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks.million_generated import generate, watch_memory
from benchmarks.parts.untrained import export_untrained

HOLDER = "import sys; held = bytearray(200 * 2**20); print(); sys.stdout.flush(); sys.stdin.read()"


def test_memory_of_a_process_and_of_its_children_is_seen() -> None:
    nested = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {HOLDER!r}], stdin=sys.stdin)"
    command = [sys.executable, "-c", nested]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stdin is not None
        with watch_memory(process.pid, pause=0.001) as peak:
            process.stdout.readline()
            deadline = time.monotonic() + 20
            while peak.bytes < 200 * 2**20 and time.monotonic() < deadline:
                time.sleep(0.001)
            process.stdin.close()
    assert 200 * 2**20 <= peak.bytes < 400 * 2**20


@pytest.mark.slow
def test_a_hundred_images_are_drawn_and_counted(tmp_path: Path) -> None:
    sampler = export_untrained(tmp_path / "generator", solver="euler", steps=1)
    seconds, peak, files = generate(sampler, tmp_path / "out", 100, 1)
    assert seconds > 0
    assert peak > 2**26
    assert files == len([path for path in (tmp_path / "out").rglob("*") if path.is_file()])
