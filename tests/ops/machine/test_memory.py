"""Freed memory is kept: used again, it is not requested from the system page by page."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

from ops.machine import memory

BLOCKS = """
import resource, sys
import numpy as np
from ops.machine.memory import keep_freed_memory

if sys.argv[1] == "keep":
    assert keep_freed_memory() and keep_freed_memory()

def count_faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    blocks = [np.ones(1 << 20, np.uint8) for _ in range(64)]
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

count_faults(), count_faults()
print(count_faults())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc gives freed memory back to the system")
def test_freed_memory_is_used_again() -> None:
    def count_faults(how: str) -> int:
        done = subprocess.run([sys.executable, "-c", BLOCKS, how], capture_output=True, text=True, check=True)
        return int(done.stdout)

    assert count_faults("keep") < count_faults("leave") / 10


def test_without_glibc_nothing_is_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory.sys, "platform", "darwin")
    assert not memory.keep_freed_memory()
    monkeypatch.setattr(memory.sys, "platform", "linux")
    monkeypatch.setattr(memory.ctypes, "CDLL", lambda name: object())  # another C library, without mallopt
    assert not memory.keep_freed_memory()
