"""Which exceptions are the machine's fault: told by their type, or by words where a library has no type for it."""

from __future__ import annotations

import errno
import os
import sqlite3

import pytest

from ops.errors import EnvironmentFault, find_fault

ADVICE = "; mend that and run it again, what is done is kept"


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EIO, errno.EMFILE])
def test_what_the_operating_system_refuses_names_the_file(code: int) -> None:
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
    ],
)
def test_libraries_that_tell_it_in_words_are_understood_and_cut_to_one_line(error: Exception) -> None:
    assert str(find_fault(error)) == f"{str(error).splitlines()[0]}{ADVICE}"


@pytest.mark.parametrize("error", [ValueError("no such key"), KeyError("a"), RuntimeError(), BrokenPipeError(32, "x")])
def test_bugs_and_a_reader_who_left_are_nobodys_fault(error: Exception) -> None:
    assert find_fault(error) is None
