"""The errors that stop Growset, each with its exit code, and the removal of credentials from messages.

The entry point (command line, Dagster asset, DVC stage) decides how an error is shown. Nothing in `ops` knows which
entry point called it.
"""

import errno
import os
import re

# Rust and C++ libraries and SQLite report an error of the operating system only in the text of their message.
_REFUSALS = (
    *(os.strerror(code) for code in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EIO)),
    "database or disk is full",
    "attempt to write a readonly database",
    "unable to open database file",
)

# Control characters, characters that set the direction of text, and surrogates, Python's stand-ins for invalid bytes.
_CONTROL = re.compile("[\0-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_LONG_WORD = re.compile(r"(\S{300})\S{300,}(\S{100})")
MAX_CHARACTERS = 3_000  # of a message


class GrowsetError(Exception):
    """Base of every error that Growset raises on purpose; the message is one readable sentence without credentials.

    A quote from a user's file may hold line breaks or control characters: they are shown as escapes. Very long words
    and messages are cut.
    """

    exit_code = 1

    def __init__(self, sentence: str) -> None:
        shown = _CONTROL.sub(lambda character: ascii(character[0])[1:-1], hide_credentials(sentence))
        super().__init__(_LONG_WORD.sub(r"\1…\2", shown)[:MAX_CHARACTERS])


class GeneratorNotUsed(GrowsetError):
    """The generator has not learnt, so there is nothing to publish; all stages are current."""


class UserError(GrowsetError):
    """A user's mistake: what, where, what is allowed. Raised before any compute starts."""

    exit_code = 2


class EnvironmentFault(GrowsetError):
    """The machine failed: disk full, folder read-only, remote unreachable. A re-run resumes."""

    exit_code = 3


ADVICE = "fix this and run it again; finished work is kept"


def find_fault(error: Exception) -> EnvironmentFault | None:
    """`error` as an `EnvironmentFault` if the operating system caused it; else None."""
    is_os_error = isinstance(error, OSError) and not isinstance(error, BrokenPipeError)
    if not is_os_error and not any(words in str(error) for words in _REFUSALS):
        return None
    (line, *_) = str(error).splitlines() or [type(error).__name__]
    return EnvironmentFault(f"{line}; {ADVICE}")


class DamagedData(GrowsetError):
    """Stored data differs from what was written; the message names the file and, where known, the row."""

    exit_code = 4


_USER = re.compile(
    r"""
    ( \b [a-z][a-z0-9+.-]+ :/{1,2} )        # the scheme; `Path` leaves a single slash
    (?: [^\s/@'"]+                          # user, and perhaps password
      | [^\s/@:'"]+ : (?! \d+ / ) [^\s@'"]+ # a key that contains slashes; the port of a host is excluded
    ) @
    """,
    re.VERBOSE | re.IGNORECASE,
)
_QUERY = re.compile(r"""(\b[a-z][a-z0-9+.-]+:/{1,2}[^\s'"?]*)\?[^\s'",;)]+""", re.IGNORECASE)
HIDDEN = "***"


def hide_credentials(text: str) -> str:
    """`text` with user name, password and query of every address in it replaced by ***."""
    if ":/" not in text:
        return text
    return _QUERY.sub(rf"\1?{HIDDEN}", _USER.sub(rf"\1{HIDDEN}@", text))


def find_credentials(address: str) -> set[str]:
    """The parts of an address that `hide_credentials` removes, split as a driver may repeat them elsewhere."""
    users = [match[0].removeprefix(match[1]).removesuffix("@") for match in _USER.finditer(address)]
    queries = [match[0].removeprefix(match[1]) for match in _QUERY.finditer(address)]
    values = [part.partition("=")[2] for query in queries for part in query.lstrip("?").split("&")]
    passwords = [user.partition(":")[2] for user in users]
    return {part for part in (*users, *passwords, *queries, *values) if len(part) > 3}
