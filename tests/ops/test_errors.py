"""Which exceptions are faults of the machine: recognised by type, or by text where a library has no type for them."""

from __future__ import annotations

import errno
import os
import sqlite3

import pytest

from ops.errors import EnvironmentFault, find_fault

ADVICE = "; fix this and run it again; finished work is kept"


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EIO, errno.EMFILE])
def test_an_error_of_the_operating_system_names_the_file(code: int) -> None:
    fault = find_fault(OSError(code, os.strerror(code), "/data/a.parquet"))
    assert isinstance(fault, EnvironmentFault)
    assert str(fault) == f"[Errno {code}] {os.strerror(code)}: '/data/a.parquet'{ADVICE}"
    assert fault.exit_code == 3


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("Error while serializing: I/O error: No space left on device (os error 28)"),
        sqlite3.OperationalError("database or disk is full"),
        sqlite3.OperationalError("attempt to write a readonly database"),
        ValueError("cannot write: Read-only file system\n  at line 3 of something"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory. Error code 12 (Cannot allocate memory)"),
        RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB.\nGPU 0 has 1 GiB free"),
    ],
)
def test_faults_that_a_library_reports_as_text_are_recognised_and_cut_to_one_line(error: Exception) -> None:
    assert str(find_fault(error)) == f"{str(error).splitlines()[0]}{ADVICE}"


@pytest.mark.parametrize(
    ("text", "told"), [("", ""), ("Unable to allocate 4. TiB for an array", ": Unable to allocate 4. TiB for an array")]
)
def test_a_lack_of_memory_is_a_fault_of_the_machine(text: str, told: str) -> None:
    assert str(find_fault(MemoryError(text))) == f"there is not enough memory{told}{ADVICE}"


@pytest.mark.parametrize("error", [ValueError("no such key"), KeyError("a"), RuntimeError(), BrokenPipeError(32, "x")])
def test_bugs_and_broken_pipes_are_not_faults_of_the_machine(error: Exception) -> None:
    assert find_fault(error) is None
