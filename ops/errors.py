"""The three ways in which Growset stops, each with its exit code.

A door (command line, Dagster asset, DVC stage) turns these into its own language; nothing else in
`ops` knows which door it runs behind.
"""

import errno
import os
import re

from ops.credentials import hide_credentials

# Libraries in Rust and C++, and SQLite, tell what the operating system refused in words only.
_REFUSALS = (
    *(os.strerror(code) for code in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EIO)),
    "database or disk is full",
    "attempt to write a readonly database",
    "unable to open database file",
)


# Control characters, those that turn the direction of text, and Python's stand-ins for bytes that are no text.
_STEERING = re.compile("[\0-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_ENDLESS = re.compile(r"(\S{300})\S{300,}(\S{100})")
LONGEST = 3_000  # characters of a sentence


class GrowsetError(Exception):
    """Base of every error that Growset raises on purpose; the message is one readable sentence without credentials.

    What it quotes of users' files may hold line ends or signs that steer a terminal: they are shown as escapes, and
    what has no end is cut.
    """

    exit_code = 1

    def __init__(self, sentence: str) -> None:
        shown = _STEERING.sub(lambda sign: ascii(sign[0])[1:-1], hide_credentials(sentence))
        super().__init__(_ENDLESS.sub(r"\1…\2", shown)[:LONGEST])


class UserError(GrowsetError):
    """A user's mistake: what, where, what is allowed. Raised before any compute starts."""

    exit_code = 2


class EnvironmentFault(GrowsetError):
    """The machine failed: disk full, folder read-only, remote unreachable. A re-run resumes."""

    exit_code = 3


def find_fault(error: Exception) -> EnvironmentFault | None:
    """What the machine refused, as the fault that it is; None where the error is another."""
    told = isinstance(error, OSError) and not isinstance(error, BrokenPipeError)
    if not told and not any(words in str(error) for words in _REFUSALS):
        return None
    (line, *_) = str(error).splitlines() or [type(error).__name__]
    return EnvironmentFault(f"{line}; mend that and run it again, what is done is kept")


class DamagedData(GrowsetError):
    """Stored data is not what was written; the message names the file and, where known, the row."""

    exit_code = 4
